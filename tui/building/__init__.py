"""What a builder's machine says of itself and of its source, and building in clean rooms."""
