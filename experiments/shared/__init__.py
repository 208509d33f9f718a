"""What several experiments share: flags, data, running, figures."""
