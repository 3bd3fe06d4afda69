"""What features and looks tell about the images and their labels: copies, suspects, odd ones, and what misleads."""
