"""The user's images: where they are, what is wrong with them, and which of them may be learned from."""
