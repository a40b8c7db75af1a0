"""Settings as code: a YAML file, read strictly, checked and applied as one change."""
