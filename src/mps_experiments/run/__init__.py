"""One plan becomes one record, whatever happens."""
