"""PANNs CNN14: network, checkpoint, generated weights."""
