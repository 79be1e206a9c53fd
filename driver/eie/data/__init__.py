"""What the package ships to try it on: a network and MNIST's test images."""
