"""How weights lie in a model file, and headers of earlier releases."""
