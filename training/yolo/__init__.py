"""Training of the YOLOv8 layout: what each anchor should say, how wrong it is, and the loop around both.

Written from the papers that each module names; the network itself is `hearthwatch.networks.yolov8`.
"""
