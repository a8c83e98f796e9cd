// What pages do beyond their links and forms. Without scripts everything works but live refresh.
import { keepBannersFresh, keepPageFresh } from "./live.js";
import { listen } from "./keys.js";
import { keepDrafts } from "./drafts.js";
import { copyLink, openHaltInPlace, runClock } from "./header.js";

openHaltInPlace();
runClock();
copyLink();
keepDrafts();
listen();
keepBannersFresh();
keepPageFresh();
