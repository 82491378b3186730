/** Changes that are asked of the gateway. */
import type { UseMutationResult } from "@tanstack/react-query";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { App } from "antd";

/** A change: a refusal of it is said, and what has the name *key* is read again however it ends. */
export function useChange<T, Given = void>(
  change: (given: Given) => Promise<T>,
  key: string,
  done?: (made: T) => void,
): UseMutationResult<T, Error, Given> {
  const queries = useQueryClient();
  const { message } = App.useApp();
  return useMutation({
    mutationFn: change,
    onError: (error) => void message.error(error.message, 6),
    onSettled: () => queries.invalidateQueries({ queryKey: [key] }),
    ...(done && { onSuccess: done }),
  });
}
