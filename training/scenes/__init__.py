"""The renderer of scenes: places, light, people, vehicles and animals, with exact labels. NumPy and OpenCV only."""
