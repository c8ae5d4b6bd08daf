"""Drawn heads for the tests of the notebooks: a few soft blobs in the right places, which a face finder takes for a face.

`drawn_photo(640, 480, (420, 180, 120))` has a head of radius 120 around (420, 180); the face is about as wide as the radius. `drawn_face(160)` fills its picture."""
import numpy as np
from PIL import Image

SKIN, HAIR, BACK = (225, 180, 150), (70, 50, 40), (120, 140, 160)

def drawn_photo(w, h, *heads, back=BACK):
    "A photo of w x h pixels with `heads`: each (x, y, radius) in pixels, or (x, y, radius, skin)"
    im = np.ones((h, w, 3)) * back
    for cx, cy, r, *skin in heads: _draw(im, cx, cy, r, *skin)
    return Image.fromarray(im.clip(0, 255).astype(np.uint8))

def drawn_face(n=160, skin=SKIN):
    "A picture of n x n pixels full of one head"
    return drawn_photo(n, n, (n/2, n/2, n/2, skin))

def _draw(im, cx, cy, r, skin=SKIN):
    "Lay one head over `im`"
    y, x = np.mgrid[:im.shape[0], :im.shape[1]]
    x, y = (x + .5 - cx)/r, (y + .5 - cy)/r
    blob = lambda bx, by, sx, sy: np.exp(-((x - bx)/sx)**2 - ((y - by)/sy)**2)
    disc = lambda bx, by, rx, ry: 1/(1 + np.exp(((np.hypot((x - bx)/rx, (y - by)/ry) - 1)*25).clip(-50, 50)))
    def over(mask, colour): im[:] = im*(1 - mask[..., None]) + np.array(colour)*mask[..., None]
    light = (np.sqrt(np.clip(1 - (x/.62)**2 - (y/.82)**2, 0, 1))*.45 + .62)[..., None]
    over(disc(0, -.1, .6, .72), HAIR)
    over(disc(0, .85, .25, .35), np.array(skin)*.7)
    over(disc(0, .05, .5, .66), skin*light)
    for s in (-1, 1):
        over(.45*blob(.21*s, -.1, .16, .1), (90, 60, 50))          # eye socket, eyeball, iris, brow, nostril, side of the nose
        over(.9*disc(.21*s, -.1, .1, .045), (240, 235, 230))
        over(disc(.21*s, -.1, .045, .045), (50, 35, 30))
        over(.8*blob(.22*s, -.25, .15, .03), HAIR)
        over(.6*blob(.06*s, .2, .035, .02), (90, 50, 40))
        over(.25*blob(.1*s, .1, .05, .18), (120, 80, 60))
    over(.3*blob(0, .08, .04, .15), (255, 235, 220))
    over(.8*blob(0, .4, .17, .05), (170, 80, 80))                  # lips, the line between them, the chin's shadow
    over(.8*blob(0, .4, .16, .012), (90, 35, 35))
    over(.3*blob(0, .52, .12, .04), (120, 80, 60))
