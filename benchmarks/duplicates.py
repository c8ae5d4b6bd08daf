#!/usr/bin/env python
"""Search for duplicates: what it costs, how the cost grows, and what it finds.

1. Made hashes: 10,000 and 100,000 random 64-bit hashes with planted near pairs; time, memory, growth, share found, and every pair against every pair.
2. The real images of FFON_SHARED/data: time, memory, candidates, confirmed pairs, and which of them cross the fixed splits (all named on standard error).
3. Copies of 300 of these images, saved again in ten ways: the share that is found, and pairs that should not be.
4. Growth with portraits that are all alike: 10,000 and 100,000 mixtures of two images of one domain, hashed, searched and compared.

    FFON_SHARED=shared python benchmarks/duplicates.py [--only hashes real copies mixtures]

Each part runs in processes of its own, so that their peak memory is theirs. The last line of output is JSON."""
import argparse, collections, io, json, subprocess, sys, tempfile, time
from pathlib import Path

import numpy as np

from common import need, peak_mib, result, say, shared_dir
from face_fake_or_not.duplicates import (NEIGHBOURS, _candidates, _closest, _confirmed, _reach_for, find_duplicates, fingerprints, leaks, near_pairs, similarity,
                                         window_hashes)
from face_fake_or_not.decode import open_image, to_rgb
from face_fake_or_not.items import face_items

BITS = 4    # in which the hashes of a planted pair may differ

def timed(f, *args):
    "What `f` returns, and the seconds it took"
    start = time.perf_counter()
    return f(*args), time.perf_counter() - start

def made_hashes(n, seed=0):
    "Random 64-bit hashes of which a hundredth has a planted neighbour, and the planted pairs"
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 256, (n, 8), dtype=np.uint8)
    rows = rng.permutation(n)[:n // 100 * 2].reshape(-1, 2)
    for a, b in rows:
        bits = np.unpackbits(hashes[a]); bits[rng.choice(64, rng.integers(1, BITS + 1), replace=False)] ^= 1
        hashes[b] = np.packbits(bits)
    return hashes, {(min(p), max(p)) for p in rows.tolist()}

def every_pair(hashes):
    "The plain way: each hash against all that follow"
    words, found = hashes.view(np.uint64)[:, 0], set()
    for i in range(len(words)): found |= {(i, i + 1 + int(j)) for j in np.flatnonzero(np.bitwise_count(words[i+1:] ^ words[i]) <= BITS)}
    return found

def hashes_part(n):
    "Search among `n` made hashes"
    hashes, planted = made_hashes(n)
    before = peak_mib()
    seconds = []
    for _ in range(3): (i, j, d), s = timed(near_pairs, hashes, BITS); seconds.append(s)
    found = set(zip(i.tolist(), j.tolist()))
    out = dict(n=n, seconds=min(seconds), extra_mb=peak_mib() - before, planted=len(planted), found=len(planted & found), pairs=len(found))
    brute, out['brute_s'] = timed(every_pair, hashes)
    return out | dict(same_as_brute=brute == found)

def real_part(_):
    "Search among the real images"
    data = need(shared_dir()/'data', 'The folder of real images')
    items = face_items(data, check=False)
    before = peak_mib()
    pairs, total = timed(lambda: find_duplicates(items, known=True))
    peak = peak_mib() - before
    (pictures, *_), read = timed(fingerprints, items.path)
    hashes, hashing = timed(window_hashes, pictures)
    search = {n: timed(near_pairs, hashes[np.random.default_rng(0).permutation(len(hashes))[:n]].reshape(-1, 16), 8, 16)[1] for n in (1000, 2000, 4000, len(hashes))}
    short = window_hashes(pictures)[:, 0]                                # a short hash alone: 64 bits of the whole picture, at most 4 different
    i, j, _ = near_pairs(np.packbits(np.unpackbits(short, axis=1)[:, ::2], axis=1), 4)
    alike = similarity(pictures[i], pictures[j]) >= .9
    known = items.set_index('path').group
    same = np.array([bool(known[a]) and known[a] == known[b] for a, b in zip(pairs.path_a, pairs.path_b)])
    found = leaks(items, pairs)
    name = lambda p: Path(p).relative_to(data)
    for p in pairs[pairs.across_splits].itertuples(): say(f'{p.split_a}|{p.split_b} {p.similarity:.3f} {name(p.path_a)} {name(p.path_b)}')
    domains = collections.Counter('|'.join(sorted(d)) for d in zip(pairs.domain_a, pairs.domain_b))
    names = 'pairs', 'exact', 'near', 'photos', 'largest', 'across_splits', 'across_labels', 'across_domains', 'splits', 'seen_in_train'
    counts = {k: found[k] for k in names}
    other = (items.domain.values[i] != items.domain.values[j])[~alike]
    return dict(images=pairs.attrs['images'], seconds=total, read_s=read, hash_s=hashing, search_s=search, extra_mb=peak, candidates=pairs.attrs['candidates'],
                short_hash=dict(pairs=len(i), confirmed=int(alike.sum()), strangers_across_domains=int(other.sum())),
                in_known_groups=int(same.sum()), **counts, domains=domains)

def saved(im, fmt='JPEG', **kwargs):
    buf = io.BytesIO(); im.save(buf, fmt, **kwargs)
    return buf.getvalue()

def ways(im):
    "Copies of an image, by name"
    w, h = im.size
    cut = lambda l, t, r, b: im.crop((round(w*l), round(h*t), w - round(w*r), h - round(h*b)))
    return {'quality 50': saved(im, quality=50), 'quality 20': saved(im, quality=20), 'webp': saved(im, 'WEBP', quality=60),
            'half size': saved(im.resize((w//2, h//2)), quality=85), '0.7 x': saved(im.resize((w*7//10, h*7//10)), quality=75),
            '3 % all round': saved(cut(.03, .03, .03, .03), quality=90), '3 % one corner': saved(cut(.03, .03, 0, 0), quality=90), '10 % one corner': saved(cut(0, .1, .1, 0), quality=90),
            'brighter': saved(im.point(lambda v: min(255, int(v*1.15 + 5))), quality=85), 'grey': saved(im.convert('L'), quality=85)}

def copies_part(n):
    "Copies of `n` images, one way at a time"
    data = need(shared_dir()/'data', 'The folder of real images')
    files = face_items(data, check=False).path.sample(n, random_state=0).tolist()
    alone = {frozenset(p) for p in zip(*find_duplicates(files)[['path_a', 'path_b']].T.values)}
    found, invented = collections.Counter(), collections.Counter()
    with tempfile.TemporaryDirectory() as tmp:
        made = collections.defaultdict(dict)
        for i, f in enumerate(files):
            for way, raw in ways(to_rgb(open_image(f))).items():
                made[way][str(p := Path(tmp)/f'{way.replace("%", "pc")} {i}')] = f
                p.write_bytes(raw)
        for way, source in made.items():
            pairs = {frozenset(p) for p in zip(*find_duplicates([*files, *source])[['path_a', 'path_b']].T.values)}
            own = {frozenset(p) for p in source.items()}
            back = {frozenset(source.get(p, p) for p in pair) for pair in pairs - own}
            found[way], invented[way] = len(own & pairs), len(back - alone)
    return dict(images=n, found={k: found[k] / n for k in made}, invented=dict(invented))

def mixed(pictures, domains, n, rng):
    "Pictures of strangers: each a mixture of two of one domain"
    a = rng.integers(len(pictures), size=n)
    members = {d: np.flatnonzero(domains == d) for d in set(domains)}
    b, w = np.array([rng.choice(members[domains[i]]) for i in a]), rng.uniform(.35, .65, n)[:, None, None]
    out = pictures[a]
    for s in (slice(k, k + 4096) for k in range(0, n, 4096)): out['grey'][s] = pictures['grey'][a[s]] * w[s] + pictures['grey'][b[s]] * (1 - w[s])
    return out

def mixtures_part(n):
    "Hash, search and compare `n` mixtures"
    items = face_items(need(shared_dir()/'data', 'The folder of real images'), check=False)
    pictures = mixed(fingerprints(items.path)[0], items.domain.to_numpy(), n, np.random.default_rng(0))
    hashes, hashing = timed(window_hashes, pictures)
    (i, j, d, turned), search = timed(_candidates, hashes, None, _reach_for(n))
    kept = np.flatnonzero(_closest(i, j, d, NEIGHBOURS))
    _, compare = timed(_confirmed, pictures, i[kept], j[kept], turned[kept], None)
    return dict(n=n, reach=_reach_for(n), seconds=hashing + search + compare, hash_s=hashing, search_s=search, compare_s=compare, process_mb=peak_mib(), candidates=len(i), compared=len(kept))

PARTS = dict(hashes=hashes_part, real=real_part, copies=copies_part, mixtures=mixtures_part)

def apart(part, n):
    "Run a part in a process of its own"
    r = subprocess.run([sys.executable, __file__, '--part', part, '--n', str(n)], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(r.stdout.splitlines()[-1])

def rounded(o):
    if isinstance(o, dict): return {k: rounded(v) for k, v in o.items()}
    return round(o, 4 if o < 10 else 1) if isinstance(o, float) else o

def main():
    "Run the parts; the last line is JSON"
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--only', nargs='+', choices=PARTS, default=list(PARTS))
    p.add_argument('--n', type=int, default=300, help='images of part 3')
    p.add_argument('--part', choices=PARTS, help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.part: return print(json.dumps(PARTS[args.part](args.n), default=int))
    out = {}
    if 'hashes' in args.only:
        few, many = apart('hashes', 10_000), apart('hashes', 100_000)
        share = (few['found'] + many['found']) / (few['planted'] + many['planted'])
        out['hashes'] = dict(few=few, many=many, growth=many['seconds'] / few['seconds'], growth_brute=many['brute_s'] / few['brute_s'],
                             against_brute=many['brute_s'] / many['seconds'], recall=share)
        say(json.dumps(rounded(out['hashes'])))
    for part in ('real', 'copies'):
        if part in args.only: out[part] = apart(part, args.n); say(json.dumps(rounded(out[part])))
    if 'mixtures' in args.only:
        few, many = apart('mixtures', 10_000), apart('mixtures', 100_000)
        out['mixtures'] = dict(few=few, many=many, growth=many['seconds'] / few['seconds'])
    result('duplicates', **rounded(out))

if __name__ == '__main__': main()
