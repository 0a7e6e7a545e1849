"""The networks: one file an idea, with its citation. Imports settings only.

``CnnFc`` is the black box to compare with; ``GapCnn`` ends in global average pooling, so that the
class maps are the forward pass itself: ``logit_c = mean(map_c) + bias_c``. ``ChangeNetwork`` keeps that identity
and builds its maps on what changed against the asset's healthy baseline, see `camvib.networks.change_cnn`.

References
----------
.. [1] B. Zhou, A. Khosla, A. Lapedriza, A. Oliva, A. Torralba. Learning Deep Features for
   Discriminative Localization. CVPR 2016. arXiv:1512.04150.
.. [2] M. Lin, Q. Chen, S. Yan. Network in Network. ICLR 2014. arXiv:1312.4400 (global average
   pooling over class maps).
.. [3] Y. LeCun, L. Bottou, Y. Bengio, P. Haffner. Gradient-based learning applied to document
   recognition. Proc. IEEE 86(11), 1998 (convolution, pooling, fully connected).
"""

from __future__ import annotations

from camvib.networks.change_cnn import ChangeNetwork
from camvib.networks.cnn_fc import CnnFc
from camvib.networks.gap_cnn import GapCnn
from camvib.networks.output import Network
from camvib.settings import Settings


def build(classes: int, settings: Settings) -> Network:
    """Make the network that `settings` name, for images of their size."""
    image = (settings.spectrogram.rows, settings.spectrogram.columns)
    if settings.model.name == "change_cnn":
        return ChangeNetwork(classes, settings.twin.widths, image[0])
    if settings.model.name == "cnn_fc":
        return CnnFc(classes, settings.model, image)
    return GapCnn(classes, settings.model)
