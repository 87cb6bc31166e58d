/** Why a floor is missed, where that is known: by scenario. */
export const CAUSES: Readonly<Record<string, string>> = {};
