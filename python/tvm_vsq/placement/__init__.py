"""What moves whole vectors, and where these lie so that nothing is moved; regions, in which that is found."""
