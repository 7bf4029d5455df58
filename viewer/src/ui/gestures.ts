/** Fingers, mouse and keys on the stage, turned into what they mean. Knows nothing of images. */

export interface GestureTarget {
  /** True while one finger changes brightness. */
  brightnessMode(): boolean;
  /** True while one finger moves the zoomed picture. */
  panMode(): boolean;
  /** Go by so many images; fractions add up. */
  scroll(images: number): void;
  brightness(dx: number, dy: number): void;
  /** About a point given from the stage's middle. */
  zoom(factor: number, x: number, y: number, dx: number, dy: number): void;
  reset(): void;
}

const DOUBLE_TAP_MS = 300;
const TAP_MOVES_AT_MOST_PX = 8;
const WHEEL_STEP_PX = 40; // a mouse wheel's notch is about 100, a touchpad sends many small ones

interface Finger {
  x: number;
  y: number;
  moved: number;
  readonly right: boolean;
}

export function listenToGestures(stage: HTMLElement, target: GestureTarget, pxPerImage: () => number): void {
  const fingers = new Map<number, Finger>();
  let lastTap = 0;
  let wheel = 0;

  stage.addEventListener("pointerdown", (event) => {
    stage.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY, moved: 0, right: event.button === 2 });
  });

  stage.addEventListener("pointermove", (event) => {
    const finger = fingers.get(event.pointerId);
    if (!finger) return;
    const [dx, dy] = [event.clientX - finger.x, event.clientY - finger.y];
    if (fingers.size === 1) drag(finger, dx, dy);
    else if (fingers.size === 2) pinch(event.pointerId, event.clientX, event.clientY);
    finger.x = event.clientX;
    finger.y = event.clientY;
    finger.moved += Math.abs(dx) + Math.abs(dy);
  });

  function drag(finger: Finger, dx: number, dy: number): void {
    if (finger.right || target.brightnessMode()) target.brightness(dx, dy);
    else if (target.panMode()) target.zoom(1, 0, 0, dx, dy);
    else target.scroll(-dy / pxPerImage()); // as a page is scrolled: up brings the next
  }

  function pinch(id: number, x: number, y: number): void {
    const moving = fingers.get(id)!;
    const other = [...fingers].find(([otherId]) => otherId !== id)?.[1];
    if (!other) return;
    const before = Math.hypot(moving.x - other.x, moving.y - other.y);
    const after = Math.hypot(x - other.x, y - other.y);
    const box = stage.getBoundingClientRect();
    const [middleX, middleY] = [(x + other.x) / 2 - box.left, (y + other.y) / 2 - box.top];
    const factor = before > 0 ? after / before : 1;
    target.zoom(factor, middleX - box.width / 2, middleY - box.height / 2, (x - moving.x) / 2, (y - moving.y) / 2);
    moving.moved += TAP_MOVES_AT_MOST_PX + 1; // two fingers are never a tap
    other.moved += TAP_MOVES_AT_MOST_PX + 1;
  }

  const lift = (event: PointerEvent) => {
    const finger = fingers.get(event.pointerId);
    fingers.delete(event.pointerId);
    if (!finger || event.type === "pointercancel" || finger.moved > TAP_MOVES_AT_MOST_PX || finger.right) return;
    if (event.timeStamp - lastTap < DOUBLE_TAP_MS) {
      target.reset();
      lastTap = 0;
    } else lastTap = event.timeStamp;
  };
  stage.addEventListener("pointerup", lift);
  stage.addEventListener("pointercancel", lift);
  stage.addEventListener("contextmenu", (event) => event.preventDefault());

  stage.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      if (event.ctrlKey) {
        const box = stage.getBoundingClientRect();
        const [x, y] = [event.clientX - box.left - box.width / 2, event.clientY - box.top - box.height / 2];
        target.zoom(Math.exp(-event.deltaY / 200), x, y, 0, 0);
        return;
      }
      wheel += event.deltaMode === 0 ? event.deltaY : event.deltaY * WHEEL_STEP_PX;
      const images = Math.trunc(wheel / WHEEL_STEP_PX);
      wheel -= images * WHEEL_STEP_PX;
      // One notch of a mouse is one image, however far its driver says it went.
      if (images !== 0) target.scroll(Math.abs(event.deltaY) >= 100 ? Math.sign(images) : images);
    },
    { passive: false },
  );
}
