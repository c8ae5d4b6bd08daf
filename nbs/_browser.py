"""A headless Chromium for the tests of pages; `BROWSER` is False where it is missing, and that is said."""
import importlib.util, shutil

def first_program(*names): return next((p for p in map(shutil.which, names) if p), None)

CHROMIUM, DRIVER = first_program('chromium', 'chromium-browser', 'google-chrome'), first_program('chromedriver', 'chromium.chromedriver')
BROWSER = bool(CHROMIUM and DRIVER and importlib.util.find_spec('selenium'))
if not BROWSER: print('SKIPPED: the tests in a browser, which need chromium, chromedriver and selenium')

def open_page(url, width=1280, height=1400):
    "A headless Chromium that shows `url`"
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service
    options = ChromeOptions(); options.binary_location = CHROMIUM
    for o in ('--headless=new', '--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'): options.add_argument(o)
    options.set_capability('goog:loggingPrefs', dict(browser='ALL'))
    driver = Chrome(options, Service(DRIVER))
    driver.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', dict(width=width, height=height, deviceScaleFactor=1, mobile=width < 600))
    driver.get(url)
    return driver
