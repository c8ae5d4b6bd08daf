#!/usr/bin/env python
"""Do the maps of the embedded detector mean something? Grad-CAM, occlusion and controls on real test photos.

The photos: from the test split of FFON_SHARED's items.csv, a stratified draw with a fixed seed, as many fakes as reals, each label's domains filled in turn. None is left out for its score; the explained
class is the one the detector says, right or wrong. For each photo and each map the areas under the deletion and the insertion curve (Petsiuk et al. 2018) and their difference
to the mean of the same map in random places; mean and 95 % interval by bootstrap over photos (those of one group together). Controls: a Gaussian in the middle of the picture, which knows only that faces
are in the middle; Grad-CAM without `cam_shift`; the map of another photo; and two smooth random maps, one coarse and one fine, which show how much the outline of the cover alone moves a score. Then: the share of each map on the face, the likeness to maps of randomised networks (Adebayo et al. 2018), and times on one thread as ratios to one prediction.

    python benchmarks/maps.py --n 200 --out maps.json        # about 7 minutes on one free core; --n 20 for a trial

Progress goes to standard error, one JSON object to standard output. No picture is written."""
import argparse, time
from itertools import chain, zip_longest

import numpy as np
import pandas as pd
import torch
from PIL import Image

from common import need, result, say, shared_dir
from face_fake_or_not.cam import cam_layer, cam_maps, cam_shift, occlusion_maps, pixel_probs, randomisation_test
from face_fake_or_not.core import write_json
from face_fake_or_not.detector import load_detector
from face_fake_or_not.runtime import EMBEDDED
from face_fake_or_not.explain import MapTest, deletion_insertion, filled, mean_interval, occlusion_map, order_curves, region_share, to_photo, to_square
from face_fake_or_not.export import bundle_learner
from face_fake_or_not.faces import find_faces
from face_fake_or_not.decode import open_image, to_rgb
from face_fake_or_not.image import prepare

FILLS, METHODS = ('blur', 'mean'), ('cam', 'occlusion')

def sample(shared, n, split, seed=0):
    "n/2 fakes and n/2 reals of `split`: one of each domain in turn, drawn by `seed`"
    items = pd.read_csv(need(shared/'data'/'items.csv', 'the list of real data'), keep_default_na=False)
    items = items[items.split == split].sample(frac=1, random_state=seed)
    turn = lambda d: pd.DataFrame([r for r in chain(*zip_longest(*(g.to_dict('records') for _, g in d.groupby('domain')))) if r is not None][:n//2])
    return pd.concat([turn(d) for _, d in items.groupby('label')], ignore_index=True)

def middle(size):
    "Bright in the middle: what every face detector would point at"
    v = np.exp(-(((np.arange(size) + .5)/size - .5)/.22)**2)
    return np.outer(v, v).astype(np.float32)

def spread(xs): return [round(v, 4) for v in xs]

def random_map(size, seed, grid):
    "A smooth map that knows nothing, of `grid` independent values a side"
    v = np.random.default_rng(seed).normal(size=(grid, grid)).astype(np.float32)
    return np.asarray(Image.fromarray(v).resize((size, size), Image.Resampling.BICUBIC))

def curves(probs, squares, maps, fill, steps, n_random, groups):
    "Gains of both kinds of map over the same in random places, and the areas of the controls"
    rows = {k: [] for k in maps}
    for i, px in enumerate(squares):
        for k, m in maps.items(): rows[k].append(deletion_insertion(probs, px, m[i], steps, fill, n_random, i) if k in METHODS else order_curves(probs, px, m[i], steps, fill))
        if i % 20 == 19: say(f'  {fill}: {i + 1}/{len(squares)}')
    gain = lambda rs, sign, k: mean_interval([sign*(r[k] - r[f'random_{k}']) for r in rs], groups)
    return {k: MapTest(gain(rows[k], -1, 'deletion'), gain(rows[k], 1, 'insertion'), rows[k]) for k in METHODS}, rows

def pairwise(rows, a, b, groups):
    "Paired differences of the areas of two kinds of map: above 0, `a` is the better"
    two = list(zip(rows[a], rows[b]))
    return {k: spread(mean_interval([s*(p[k] - q[k]) for p, q in two], groups)) for k, s in (('deletion', -1), ('insertion', 1))}

def summary(t):
    "A test as figures"
    return dict(deletion=round(np.mean([r['deletion'] for r in t.photos]), 4), insertion=round(np.mean([r['insertion'] for r in t.photos]), 4), random_deletion=round(np.mean([r['random_deletion'] for r in t.photos]), 4),
                random_insertion=round(np.mean([r['random_insertion'] for r in t.photos]), 4), deletion_gain=spread(t.deletion), insertion_gain=spread(t.insertion), means=t.means, verdict=t.verdict)

def compared(probs, squares, maps, score, fill, steps, n_random, groups):
    "Everything that the curves with one fill say"
    ts, rows = curves(probs, squares, maps, fill, steps, n_random, groups)
    for k, t in ts.items(): say(f'  {fill}, {k}: {t}')
    covered = np.concatenate([probs([np.ascontiguousarray(filled(p, fill))]) for p in squares])
    pairs = ('occlusion', 'cam'), *((m, c) for m in METHODS for c in maps if c not in METHODS)
    areas = {k: {a: round(float(np.mean([r[a] for r in rows[k]])), 4) for a in ('deletion', 'insertion')} for k in maps if k not in METHODS}
    return dict(n=len(squares), p_fake_wholly_covered=round(float(covered.mean()), 4), against_random={k: summary(t) for k, t in ts.items()}, controls=areas,
                against_each_other={f'{x} over {y}': pairwise(rows, x, y, groups) for x, y in pairs},
                by_verdict={m: {s: gains(ts[m], (score >= .5) == v) for s, v in (('called fake', True), ('called real', False))} for m in METHODS})

def gains(test, mask):
    "Gains over random on some of the photos"
    some = [r for r, m in zip(test.photos, mask) if m]
    return dict(n=len(some)) | ({k: spread(mean_interval([s*(r[k] - r[f'random_{k}']) for r in some])) for k, s in (('deletion', -1), ('insertion', 1))} if some else {})

def faces_of(paths, spec):
    "The largest face of each photo in the network's square, or None"
    out = []
    for p in paths:
        im = to_rgb(open_image(p)); found = find_faces(im)
        box = to_square(found[0].box, to_photo(im.size, spec), spec.size) if found else None
        out.append(box if box and box[2] > box[0] and box[3] > box[1] else None)
    return out

def on_face(maps, boxes, groups):
    "Mean share of the energy, mean share of the area, and their paired difference, where a face was found"
    at = [i for i, b in enumerate(boxes) if b]
    both = np.array([region_share(maps[i], boxes[i]) for i in at])
    g = [groups[i] for i in at]
    return dict(n=len(at), energy=spread(mean_interval(both[:, 0], g)), area=spread(mean_interval(both[:, 1], g)), energy_minus_area=spread(mean_interval(both[:, 0] - both[:, 1], g)))

def timed(jobs, repeats):
    "Median seconds of each job, interleaved"
    t = {k: [] for k in jobs}
    for _ in range(repeats):
        for k, f in jobs.items(): s = time.perf_counter(); f(); t[k].append(time.perf_counter() - s)
    return {k: float(np.median(v)) for k, v in t.items()}

def times(learn, probs, px, layer, repeats):
    "What a map costs, as a ratio to one prediction on the same engine"
    torch_probs, shift = pixel_probs(learn), cam_shift(learn, layer)
    t = timed(dict(onnx=lambda: probs([px]), occlusion=lambda: occlusion_map(probs, px), torch=lambda: torch_probs([px]), cam=lambda: cam_maps(learn, [px], layer, shift=shift), cam_and_layer=lambda: cam_maps(learn, [px])), repeats)
    return dict(occlusion_to_prediction=round(t['occlusion']/t['onnx'], 1), cam_to_prediction=round(t['cam']/t['torch'], 2), cam_with_layer_search_to_prediction=round(t['cam_and_layer']/t['torch'], 2),
                occlusion_to_cam=round(t['occlusion']/t['cam'], 1), seconds={k: round(v, 4) for k, v in t.items()})

def randomised(learn, squares, groups, n_cam, n_occlusion, networks):
    "Likeness of the maps to those of ever more random networks"
    coarse = lambda l, px: occlusion_maps(l, px, stride=.25, bs=17)
    out = {}
    for name, method, n, cuts in (('cam', cam_maps, n_cam, 4), ('occlusion', coarse, n_occlusion, 1)):
        pick = np.random.default_rng(0).permutation(len(squares))[:n]
        t = randomisation_test(learn, [squares[i] for i in pick], method, cuts=cuts, networks=networks, groups=[groups[i] for i in pick])
        out[name] = dict(n=t.photos, networks=networks, means=t.means, verdict=t.verdict, stages=[dict(s, share=round(s['share'], 3), signed=spread(s['signed']), absolute=spread(s['absolute'])) for s in t.stages])
        say(f'  {name}: {t}')
    return out

def main():
    p = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    p.add_argument('--n', type=int, default=200); p.add_argument('--split', default='test'); p.add_argument('--steps', type=int, default=5)
    p.add_argument('--n-random', type=int, default=2); p.add_argument('--n-weights', type=int, default=60); p.add_argument('--out'); p.add_argument('--threads', type=int, default=1)
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    d, learn = load_detector(threads=a.threads), bundle_learner(EMBEDDED)
    probs, shared = getattr(d, 'probs', None) or d._probs, shared_dir()
    items = sample(shared, a.n, a.split)
    paths, groups = [shared/'data'/o for o in items.path], items.group.tolist()
    squares = [prepare(o, d.spec) for o in paths]
    score = np.concatenate([probs(squares[i:i+4]) for i in range(0, len(squares), 4)])
    agree = float(np.abs(score[:16] - pixel_probs(learn)(squares[:16])).max())
    say(f'{len(items)} photos, {(score >= .5).mean():.0%} called fake, accuracy {((score >= .5) == (items.label == "fake")).mean():.1%}; onnx and torch differ by {agree:.1e}')
    layer = cam_layer(learn)
    maps = {'cam': cam_maps(learn, squares, layer), 'cam, not moved': cam_maps(learn, squares, layer, shift=(0, 0))}; say(f'Grad-CAM on {layer}')
    maps['occlusion'] = np.stack([occlusion_map(probs, px) for px in squares]); say('occlusion maps')
    sign = np.where(score >= .5, 1, -1)[:, None, None]
    maps['middle'] = sign * middle(d.spec.size)
    other = (np.arange(len(items)) + len(items)//4) % len(items)                      # another domain, turned to this photo's own verdict
    maps['another photo'] = maps['occlusion'][other] * sign[other] * sign
    for name, grid in (('random, coarse', 5), ('random, fine', 10)): maps[name] = np.stack([random_map(d.spec.size, [i, grid], grid) for i in range(len(items))])
    out = dict(n=len(items), split=a.split, called_fake=int((score >= .5).sum()), accuracy=round(float(((score >= .5) == (items.label == 'fake')).mean()), 4), domains=items.groupby('label').domain.nunique().to_dict(),
               layer=layer, layer_shift=spread(cam_shift(learn, layer)), size=d.spec.size, steps=a.steps, n_random=a.n_random)
    boxes = faces_of(paths, d.spec); out['on_face'] = {k: on_face(maps[k], boxes, groups) for k in METHODS}
    out['times'] = times(learn, probs, squares[0], layer, 15); say(f'times: {out["times"]}')
    for fill, every in zip(FILLS, (1, 2)):                                            # the second fill on half of the photos, drawn at random
        part = np.sort(np.random.default_rng(1).permutation(len(items))[:len(items)//every])
        out[fill] = compared(probs, [squares[i] for i in part], {k: m[part] for k, m in maps.items()}, score[part], fill, a.steps, a.n_random, [groups[i] for i in part])
        if a.out: write_json(a.out, out)
    out['randomised'] = randomised(learn, squares, groups, min(a.n, a.n_weights), min(a.n, a.n_weights//3), 3)
    if a.out: write_json(a.out, out)
    result('maps', **out)

if __name__ == '__main__': main()
