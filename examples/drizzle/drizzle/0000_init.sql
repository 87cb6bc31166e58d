CREATE TABLE `option` (
	`id` integer PRIMARY KEY NOT NULL,
	`name` text,
	`votes` integer DEFAULT 0 NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `option_name_unique` ON `option` (`name`);--> statement-breakpoint
CREATE TABLE `vote` (
	`id` integer PRIMARY KEY NOT NULL,
	`option_id` integer NOT NULL,
	`cast_at` integer DEFAULT (unixepoch('subsec') * 1000) NOT NULL,
	FOREIGN KEY (`option_id`) REFERENCES `option`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE INDEX `vote_option` ON `vote` (`option_id`);