"""Pixels and geometry: decoding, boxes, preprocessing, keypoints, embeddings. No network runs here."""

from hearthwatch.vision.embeddings import average_embedding, cosine_similarity

__all__ = ["average_embedding", "cosine_similarity"]
