"""Speed of training, beside other libraries and other checkouts."""
