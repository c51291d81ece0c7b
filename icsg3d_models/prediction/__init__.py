"""Crystal structure prediction: a composition in, ranked crystals out."""
