"""What people look at: PNGs, paths and ticks. What a network looks at is an image, see `camvib.images`."""
