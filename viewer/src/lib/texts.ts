/** Every word that a person reads. One object a language; a new language is a new object of the same shape. */
import type { ErrorCode } from "./errors.ts";
import type { Counts } from "./news.ts";

export interface Notice {
  readonly title: string;
  readonly next: string;
}

const images = (n: number) => (n === 1 ? "1 image" : `${n} images`);
const files = (n: number) => (n === 1 ? "1 file" : `${n} files`);
const are = (n: number) => (n === 1 ? "is" : "are");
const have = (n: number) => (n === 1 ? "has" : "have");
const and = new Intl.ListFormat("en-GB");
const tries = (n: number) => (n === 1 ? "1 try" : `${n} tries`);

const desk = "ask the imaging department for a new slip";

const notices: Record<Exclude<ErrorCode, "cancelled">, Notice> = {
  link_absent: {
    title: "Scan the code on your slip",
    next: "Point your phone’s camera at the square code on your paper slip and tap the link that appears. If you had this page open before, scan the code again.",
  },
  link_mistyped: {
    title: "This link is not complete",
    next: "A part of it is missing or mistyped. Scan the square code on your slip again with your phone’s camera; that is safer than typing or copying.",
  },
  link_unknown: {
    title: "This slip is not known here",
    next: "If you got it only a moment ago, wait a minute and try again. If it still does not open, ask the imaging department.",
  },
  link_expired: {
    title: "This slip has expired",
    next: "Slips work for a limited time. Keep it: the imaging department can switch the same slip on again. Call them or ask at the desk.",
  },
  link_revoked: {
    title: "This slip no longer works",
    next: `It was replaced or withdrawn. If you have a newer slip, scan that one; if not, ${desk}.`,
  },
  link_locked: {
    title: "This slip is locked",
    next: `There were too many wrong tries, so it was locked to keep the images safe. Please ${desk}.`,
  },
  wrong_factor: { title: "That does not match", next: "Check what you entered and try again." },
  token_unknown: {
    title: "This page was open for a long time",
    next: "To keep your images safe it has closed them. Scan the code on your slip again to go on.",
  },
  manifest_pending: {
    title: "Your images are on their way",
    next: "The first ones will appear here by themselves in a moment. You can leave this page open.",
  },
  object_unknown: {
    title: "This image could not be found",
    next: "Try again in a minute. If it is still missing, tell the imaging department.",
  },
  too_many_requests: {
    title: "Please wait a moment",
    next: "There were many requests at once. Try again in a minute.",
  },
  unreachable: {
    title: "No connection",
    next: "Your images could not be reached. Check that your phone is online, then try again. Nothing was lost.",
  },
  vault_failed: {
    title: "Something went wrong on our side",
    next: "Please try again in a few minutes. If it goes on, tell the imaging department.",
  },
  altered: {
    title: "This is not shown, to be safe",
    next: "What arrived is not exactly what the imaging department sent. Try again; if this stays, tell them.",
  },
  cannot_draw: {
    title: "This image cannot be shown here",
    next: "Its format is unusual, but nothing is lost: your doctor can open the downloaded file.",
  },
  out_of_memory: {
    title: "This image is too large for this device",
    next: "Try it on a computer, or download the file for your doctor.",
  },
};

export const en = {
  language: "en",
  notices,
  pageTitle: "Your images",
  retry: "Try again",
  loading: "One moment…",

  factor: {
    title: "Your images are ready to open",
    birthDateLead: "To keep them private, enter the date of birth of the person in the images.",
    pinLead: "Enter the PIN that the imaging department gave you.",
    noneLead: "Only someone who holds the slip can open this page.",
    birthDate: "Date of birth",
    day: "Day",
    month: "Month",
    year: "Year",
    dayExample: "14",
    yearExample: "1970",
    chooseMonth: "Month",
    pin: "PIN",
    submit: "Show the images",
    opening: "Opening…",
    notADate: "That is not a date. Check the day, the month and the year with four digits.",
    inFuture: "That date is in the future. Check the year.",
    notAPin: "A PIN has digits only, at least four.",
    wrongDate: (left: number) => `That date of birth does not match. You have ${tries(left)} left.`,
    wrongPin: (left: number) => `That PIN does not match. You have ${tries(left)} left.`,
    lastTry: "After that the slip is locked. If you are not sure, ask the imaging department first.",
    privacy: "Your answer is checked without being stored or sent in readable form.",
    expires: (when: string) => `This slip works until ${when}.`,
  },

  study: {
    arriving: (here: number, received: number) =>
      received > here
        ? `${here} of ${images(received)} ${are(here)} here, more are coming`
        : `${images(here)} ${are(here)} here, more may be coming`,
    late: (here: number, received: number) =>
      `${here} of ${images(received)} ${are(here)} here, the rest is on its way`,
    complete: (here: number, expected: number, byWhom: string) =>
      expected > 0 && here > expected
        ? `${expected} of ${images(expected)} ${are(expected)} here${byWhom}, and ${here - expected} more.`
        : `${here} of ${images(here)} ${are(here)} here${byWhom}.`,
    quiet: (here: number) =>
      `${images(here)} ${are(here)} here. No more have come for a while. Nobody has checked that these are all.`,
    missing: (here: number, missing: number, expected: number) =>
      expected === here + missing
        ? `${here} of ${images(expected)} ${are(here)} here. ${missing} ${have(missing)} not arrived.`
        : `${images(here)} ${are(here)} here. ${missing} more ${have(missing)} not arrived.`,
    missingNext: "If they come, they appear here by themselves. You can also ask the imaging department for them.",
    /** By whose word all is here; what is not in this list is not said. */
    byWhom: {
      "media-creation": ", all that were asked for",
      notification: ", checked with the hospital’s archive",
      query: ", checked with the hospital’s archive",
      "performed-step": ", checked with the scanner",
    } as Record<string, string>,
    added: (when: string) => `Last images added on ${when}.`,
    exact: "For your doctor: is this everything?",
    offline: "No connection just now. What is here stays; the rest comes when you are online again.",
    altered: "Something arrived that is not what the imaging department sent. It was not accepted.",
    series: "Pictures",
    open: (name: string) => `Open ${name}`,
    count: images,
    otherFiles: "Other files",
    otherFilesLead: "These are not pictures that this page can show. You can save them for your doctor.",
    downloadAll: "Save everything",
    downloadAllLead: (n: number, size: string) =>
      `${files(n)} in DICOM format, ${size}, for your doctor or another hospital`,
    download: "Save",
    downloadPdf: "Save as PDF",
    downloadDicom: "Save for a doctor (DICOM)",
    openPdf: "Open the PDF",
    play: "Play the video",
    cannotPlay: "This browser cannot play this video. Your doctor can open the saved file.",
    preparing: (done: number, all: number) => `Preparing ${done} of ${all}…`,
    saved: "Saved. Look in your downloads.",
    cancel: "Cancel",
    nothingYet: "The first images will appear here by themselves.",
    notForDiagnosis: "Not for diagnosis on a phone",
    unknownName: "Name not given",
    unnamedSeries: "Pictures",
  },

  news: {
    arriving: "New images are arriving",
    arrived: ({ images, documents, files }: Counts) => {
      const some = (n: number, what: string) => (n ? [`${n} new ${what}${n === 1 ? "" : "s"}`] : []);
      const parts = [...some(images, "image"), ...some(documents, "document"), ...some(files, "file")];
      return `${and.format(parts)} ${have(images + documents + files)} arrived`;
    },
    study: (what: string, name: string) => (name ? `${what}: ${name}` : `${what}, from another examination`),
    show: "Show",
    later: "Later",
    all: "New",
    some: (n: number) => `${n} new`,
  },

  viewer: {
    back: "Back",
    previous: "Previous image",
    next: "Next image",
    slider: "Image number",
    brightness: "Brightness",
    brightnessHelp: "Drag up or down: brightness. Sideways: contrast",
    scrollHelp: "Drag up or down through the images, pinch to zoom",
    singleHelp: "Pinch to zoom, tap twice to reset",
    window: "Contrast",
    automatic: "Automatic",
    fullRange: "Full range",
    custom: "My setting",
    preset: (n: number) => `Setting ${n}`,
    reset: "Reset",
    play: "Play",
    pause: "Pause",
    save: "Save",
    position: (n: number, all: number) => `${n} / ${all}`,
    image: (n: number, all: number, name: string) => `${name}, image ${n} of ${all}`,
  },

  modalities: {
    CT: "CT scan",
    MR: "MRI scan",
    CR: "X-ray",
    DX: "X-ray",
    RG: "X-ray",
    PX: "Dental X-ray",
    IO: "Dental X-ray",
    MG: "Mammogram",
    US: "Ultrasound",
    IVUS: "Ultrasound",
    NM: "Nuclear medicine",
    PT: "PET scan",
    XA: "Angiogram",
    RF: "Fluoroscopy",
    ES: "Endoscopy",
    OP: "Eye images",
    OPT: "Eye images",
    OT: "Images",
    SC: "Images",
    DOC: "Document",
    RTIMAGE: "Radiotherapy image",
    RTDOSE: "Radiotherapy dose",
    XC: "Photographs",
    GM: "Microscopy",
    SM: "Microscopy",
  } as Record<string, string>,

  kinds: {
    report: "Written report (measurements)",
    pdf: "Document (PDF)",
    cda: "Document (CDA)",
    model: "3D model",
    video: "Video",
    segmentation: "Marked regions",
    radiotherapy: "Radiotherapy plan or structures",
    presentation: "Display settings for a doctor",
    keyImages: "List of key images",
    ecg: "Heart tracing or other waveform",
    raw: "Raw scanner data",
    registration: "Alignment data",
    image: "Picture in a format this page cannot show",
    other: "Other medical data",
  },
};

export type Texts = typeof en;

const languages: Record<string, Texts> = { en };

/** The first of the person's languages that there is, else English. */
export function textsFor(wanted: readonly string[]): Texts {
  for (const tag of wanted) {
    const found = languages[tag.toLowerCase().split("-")[0] ?? ""];
    if (found) return found;
  }
  return en;
}

export function noticeFor(code: ErrorCode): Notice {
  return texts.notices[code === "cancelled" ? "unreachable" : code];
}

export const texts = textsFor(typeof navigator === "undefined" ? [] : navigator.languages);
