"""How good a model is: networks that extract features, measures on them, and the tables made of those."""
