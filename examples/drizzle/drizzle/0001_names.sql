PRAGMA foreign_keys=OFF;--> statement-breakpoint
CREATE TABLE `__new_option` (
	`id` integer PRIMARY KEY NOT NULL,
	`name` text NOT NULL,
	`votes` integer DEFAULT 0 NOT NULL
);
--> statement-breakpoint
INSERT INTO `__new_option`("id", "name", "votes") SELECT "id", "name", "votes" FROM `option`;--> statement-breakpoint
DROP TABLE `option`;--> statement-breakpoint
ALTER TABLE `__new_option` RENAME TO `option`;--> statement-breakpoint
PRAGMA foreign_keys=ON;--> statement-breakpoint
CREATE UNIQUE INDEX `option_name_unique` ON `option` (`name`);