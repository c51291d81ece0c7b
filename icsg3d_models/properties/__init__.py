"""Properties of crystals, predicted by networks."""
