"""The network: item tower, sequence encoder, rating head and ranker, in Keras 3 (`keras.ops` throughout).

Nothing is imported here, so that reading a version's card does not load TensorFlow.
"""
