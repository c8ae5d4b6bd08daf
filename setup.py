"Package metadata, all of it read from settings.ini; the version must agree with the package's `__init__.py`."
import re
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
statuses = ['Planning', 'Pre-Alpha', 'Alpha', 'Beta', 'Production/Stable', 'Mature', 'Inactive']

parser = ConfigParser(delimiters=['='])
parser.read(here/'settings.ini', encoding='utf-8')
cfg = parser['DEFAULT']
lib = cfg['lib_path']

init = here/lib/'__init__.py'
if init.exists():
    found = re.search(r'^__version__ *= *[\'"](.+?)[\'"]', init.read_text(encoding='utf-8'), re.M)
    found = found and found[1]
    if found != cfg['version']: raise SystemExit(f"settings.ini says version {cfg['version']}, {lib}/__init__.py says {found}")

readme = here/'README.md'
text = readme.read_text(encoding='utf-8') if readme.exists() else cfg['description']
long_description = re.sub(r'\A---\n.*?\n---\n', '', text, flags=re.S).lstrip()  # without the Space's front matter

status = int(cfg['status'])
classifiers = [
    f'Development Status :: {status} - {statuses[status-1]}',
    f"Intended Audience :: {cfg['audience']}",
    f"Natural Language :: {cfg['language']}",
    'Programming Language :: Python :: 3 :: Only',
    *(f'Programming Language :: Python :: {o}' for o in cfg['python_versions'].split()),
    'Topic :: Scientific/Engineering :: Image Recognition']

setup(
    name=cfg['lib_name'],
    version=cfg['version'],
    description=cfg['description'],
    long_description=long_description,
    long_description_content_type='text/markdown',
    author=cfg['author'],
    license=cfg['license'].upper(),
    keywords=cfg['keywords'].split(),
    classifiers=classifiers,
    python_requires=f">={cfg['min_python']}",
    packages=find_packages(include=[lib, lib+'.*']),
    include_package_data=False,
    package_data={lib: ['embedded/*', 'embedded_faces/*']},
    install_requires=cfg['requirements'].split(),
    extras_require={o: cfg[f'{o}_requirements'].split() for o in ('video', 'remote', 'ray', 'mcp', 'dev')},
    entry_points={'console_scripts': cfg['console_scripts'].split(), 'nbdev': [f'{lib}={lib}._modidx:d']},
    zip_safe=False)
