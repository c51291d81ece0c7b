"""Reading a run back from the provenance graph; nothing here draws."""
