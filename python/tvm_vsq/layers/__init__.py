"""What a layer is: the operators it takes with it, and what its integers are worth."""
