"""Everything that goes wrong on the way of a mail, one test or more for each row of docs/faults.md.

A mark names the rows that a test produces: `@pytest.mark.fault(17)`. Tests elsewhere that produce
one as a whole bear it too. Each compares, by tests/ledger.py, what was promised with what the
servers saw and the records say.
"""
