"""The other services of the mesh, each behind what this product needs of it."""
