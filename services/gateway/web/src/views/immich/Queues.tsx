/** The queues of a server in their order, which is changed by dragging: with a mouse, a finger or the keyboard. */
import { HolderOutlined } from "@ant-design/icons";
import type { DragEndEvent } from "@dnd-kit/core";
import {
  closestCenter,
  DndContext,
  KeyboardSensor,
  PointerSensor,
  useSensor,
  useSensors,
} from "@dnd-kit/core";
import {
  arrayMove,
  SortableContext,
  sortableKeyboardCoordinates,
  useSortable,
  verticalListSortingStrategy,
} from "@dnd-kit/sortable";
import { CSS } from "@dnd-kit/utilities";
import { Button } from "antd";
import { Link } from "react-router";

import type { ImmichQueue, ImmichServer } from "../../api/client";
import { count, words } from "../../parts/words";
import { useServerChange } from "./change";

/** The queues as *order* has them. */
function ordered(queues: ImmichQueue[], order: readonly string[]): ImmichQueue[] {
  return order
    .map((name) => queues.find((queue) => queue.name === name))
    .filter((queue) => queue !== undefined);
}

export function Queues({ server }: { server: ImmichServer }) {
  const change = useServerChange(server.name);
  const sensors = useSensors(
    useSensor(PointerSensor),
    useSensor(KeyboardSensor, { coordinateGetter: sortableKeyboardCoordinates }),
  );
  const managed = server.queues.filter((queue) => queue.hold !== "unmanaged");
  const left = server.queues.filter((queue) => queue.hold === "unmanaged");
  const asked = change.isPending ? change.variables.order : undefined;
  const queues = asked ? ordered(managed, asked) : managed;
  const names = queues.map((queue) => queue.name);

  const drop = ({ active, over }: DragEndEvent) => {
    if (over === null || active.id === over.id) return;
    const [from, to] = [names.indexOf(String(active.id)), names.indexOf(String(over.id))];
    change.mutate({ order: arrayMove(names, from, to) });
  };
  return (
    <>
      <DndContext sensors={sensors} collisionDetection={closestCenter} onDragEnd={drop}>
        <SortableContext items={names} strategy={verticalListSortingStrategy}>
          <ol className="immich-queues" aria-label={`Queues of ${server.name}, most urgent first`}>
            {queues.map((queue) => (
              <Movable key={queue.name} queue={queue} />
            ))}
          </ol>
        </SortableContext>
      </DndContext>
      {!server.orderIsOwn && (
        <div className="immich-own">
          <Button
            size="small"
            loading={change.isPending}
            onClick={() => change.mutate({ order: null })}
          >
            Take the order of its settings
          </Button>
        </div>
      )}
      {left.length > 0 && (
        <p className="immich-left">
          Never touched: {left.map((queue) => words(queue.name)).join(", ")}.
        </p>
      )}
    </>
  );
}

function Movable({ queue }: { queue: ImmichQueue }) {
  const { attributes, listeners, setNodeRef, transform, transition, isDragging } = useSortable({
    id: queue.name,
  });
  return (
    <li
      ref={setNodeRef}
      className={isDragging ? "immich-queue dragged" : "immich-queue"}
      style={{ transform: CSS.Translate.toString(transform), transition }}
    >
      <button type="button" className="grip" {...attributes} {...listeners}>
        <HolderOutlined />
        <span className="unseen">Move {queue.name}</span>
      </button>
      <div className="immich-name">
        <b title={queue.name}>{words(queue.name)}</b>
        <Note queue={queue} />
      </div>
      <State queue={queue} />
      <dl>
        <Figure name="Active" value={queue.active} />
        <Figure name="Waiting" value={queue.waiting} />
        <Figure name="Delayed" value={queue.delayed} />
        <Figure name="Failed" value={queue.failed} wrong={queue.failed > 0} />
      </dl>
    </li>
  );
}

function Figure({ name, value, wrong = false }: { name: string; value: number; wrong?: boolean }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd className={wrong ? "number refused" : "number"}>{count(value)}</dd>
    </div>
  );
}

function State({ queue }: { queue: ImmichQueue }) {
  const held = queue.state === "paused" && queue.hold === "controller";
  const tones = { running: "running", open: "completed", paused: held ? "pending" : "paused" };
  return (
    <span className={`status status-${tones[queue.state]}`}>
      <i />
      {held ? "held back" : queue.state}
    </span>
  );
}

function Note({ queue }: { queue: ImmichQueue }) {
  if (queue.stalled) return <span className="about wrong">Open for long, and nothing starts</span>;
  if (queue.waitsForLease) {
    return (
      <span className="about">
        Waits for a lease: <Link to="/jobs?status=pending">its job says why</Link>
      </span>
    );
  }
  if (queue.hold === "others") {
    return <span className="about">Paused by somebody else, and left alone</span>;
  }
  return null;
}
