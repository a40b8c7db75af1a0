"""Putting the refusals of a capability onto the fields of the form that was posted."""

from flask_wtf import FlaskForm

from portal.validation import Invalid


def put_errors(form: FlaskForm, invalid: Invalid) -> None:
    """Each error goes to the field of its name; what no field holds goes to the form itself.

    `audience.0` belongs to the field `audience`.
    """
    for error in invalid.errors:
        field = form[name] if (name := error.field.split(".")[0]) in form else None
        if field is None:
            form.form_errors.append(error.message)
        else:
            field.errors = [*field.errors, error.message]
