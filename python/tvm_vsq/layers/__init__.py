"""What a layer is: the operators it takes with it, its number formats, and what its integers are worth."""
