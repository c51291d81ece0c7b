"""Structures of the phases that a candidate competes with: elements, and prototypes of compounds."""
