"""What all ops of the engine use."""
