// Every text of the page, in every language it has. `{name}` is filled in; {one, other} is chosen by `count`.

import { language } from "./preferences.js";

export const TEXTS = {
  // -- the page
  skip_to_composer: { en: "Skip to the message field", zh: "跳到消息输入框" },
  sessions: { en: "Sessions", zh: "会话" },
  open_sessions: { en: "Show sessions", zh: "显示会话" },
  close_sessions: { en: "Hide sessions", zh: "隐藏会话" },
  documentation: { en: "The interface for programs", zh: "编程接口" },
  theme_auto: { en: "Colours: as the system", zh: "配色：跟随系统" },
  theme_light: { en: "Colours: light", zh: "配色：浅色" },
  theme_dark: { en: "Colours: dark", zh: "配色：深色" },
  language: { en: "中文", zh: "English" },
  sign_out: { en: "Sign out", zh: "退出登录" },
  views: { en: "Views", zh: "视图" },
  files: { en: "Files", zh: "文件" },
  terminal: { en: "Terminal", zh: "终端" },
  conversation: { en: "Conversation", zh: "对话" },
  to_the_end: { en: "To the newest text", zh: "跳到最新内容" },
  close: { en: "Close", zh: "关闭" },
  cancel: { en: "Cancel", zh: "取消" },
  copy: { en: "Copy", zh: "复制" },
  copied: { en: "Copied", zh: "已复制" },
  copy_failed: { en: "The browser doesn’t let this page copy. Select the text and copy it yourself.", zh: "浏览器不允许本页复制，请选中文本自行复制。" },
  bytes: { en: { one: "{count} byte", other: "{count} bytes" }, zh: "{count} 字节" },
  loading: { en: "Loading…", zh: "加载中…" },
  agent_q: { en: "Amazon Q CLI {version}", zh: "Amazon Q CLI {version}" },
  "agent_kiro-cli": { en: "Kiro CLI {version} (untested)", zh: "Kiro CLI {version}（未经测试）" },
  agent_demo: { en: "Demo agent, no model behind it", zh: "演示代理，没有模型" },
  new_session: { en: "New session", zh: "新会话" },
  untitled: { en: "Untitled", zh: "未命名" },
  not_found: { en: "There is nothing here", zh: "此处没有内容" },
  not_found_more: { en: "The session doesn’t exist, or not any more, or it belongs to another key.", zh: "会话不存在、已被删除，或属于另一个密钥。" },
  session_gone: { en: "This session was deleted.", zh: "此会话已被删除。" },
  offline: { en: "No connection to the server. What it says meanwhile isn’t lost; this page comes back by itself.", zh: "与服务器的连接已断开。期间的内容不会丢失，页面会自动重连。" },
  reconnecting: { en: "Connecting again…", zh: "正在重新连接…" },
  open_again: { en: "Try again", zh: "重试" },
  welcome: { en: "What shall we work on?", zh: "今天要做什么？" },
  welcome_more: { en: "Every session has a directory of its own, where the agent reads and writes files.", zh: "每个会话都有自己的目录，代理在其中读写文件。" },
  welcome_demo: { en: "The demo agent answers here: no Amazon Q CLI was found, or the settings ask for it. It repeats what you write; write “help” to see what else it can do.", zh: "此处由演示代理应答：未找到 Amazon Q CLI，或设置中指定了演示代理。它会重复您的话；输入 help 查看其他功能。" },

  // -- states of a session
  client_openai: { en: "OpenAI API", zh: "OpenAI API" },
  client_anthropic: { en: "Anthropic API", zh: "Anthropic API" },
  state_hibernated: { en: "asleep", zh: "休眠中" },
  state_waiting: { en: "waiting for a place", zh: "等待空位" },
  state_starting: { en: "starting", zh: "启动中" },
  state_ready: { en: "ready", zh: "就绪" },
  state_busy: { en: "working", zh: "工作中" },
  state_permission: { en: "asks for permission", zh: "请求许可" },
  state_menu: { en: "shows a menu", zh: "显示菜单" },
  state_unknown: { en: "unclear: look at the terminal", zh: "状态不明：请查看终端" },
  state_failed: { en: "failed", zh: "失败" },
  state_exited: { en: "ended", zh: "已结束" },

  // -- a turn
  you_said: { en: "You", zh: "您" },
  working: { en: "Working…", zh: "处理中…" },
  queued: { en: "queued", zh: "排队中" },
  take_out: { en: "Take out of the queue", zh: "移出队列" },
  sending: { en: "sending…", zh: "发送中…" },
  message_changed: { en: "sent slightly changed", zh: "发送时略有改动" },
  copy_message: { en: "Copy message", zh: "复制消息" },
  copy_answer: { en: "Copy answer as markdown", zh: "以 Markdown 复制回答" },
  code: { en: "Code", zh: "代码" },
  table: { en: "Table", zh: "表格" },
  copy_code: { en: "Copy code", zh: "复制代码" },
  edit_message: { en: "Change and send again", zh: "修改后重新发送" },
  edit_explained: { en: "Goes on in a new session, with copies of the files as they are now. This one stays as it is.", zh: "将在新会话中继续，并复制当前的文件。本会话保持不变。" },
  send_branch: { en: "Send in a new session", zh: "在新会话中发送" },
  show_all: { en: "Show all", zh: "显示全部" },
  show_earlier: { en: "Show earlier messages", zh: "显示更早的消息" },
  inexact: { en: "Read from the screen: the agent’s own record of this text couldn’t be read, so it may differ in details.", zh: "内容取自屏幕：无法读取代理自己的记录，细节可能有出入。" },
  stopped: { en: "Stopped.", zh: "已停止。" },
  context_lost: { en: "The agent was started again and doesn’t remember what was said before this.", zh: "代理已重新启动，不记得此前的对话。" },
  answer_complete: { en: "Answer complete. {answer}", zh: "回答完毕。{answer}" },
  turn_failed: { en: "This turn failed.", zh: "本轮失败。" },
  try_again: { en: "Send again", zh: "重新发送" },
  agent_said: { en: "What the agent said", zh: "代理的输出" },
  notice_retrying: { en: "The service is busy; the agent tries again by itself.", zh: "服务繁忙，代理正在自动重试。" },
  notice_compacting: { en: "The conversation was too long; the agent is summarising what was said.", zh: "对话过长，代理正在总结之前的内容。" },
  notice_long_conversation: { en: "This conversation is getting long. A new session answers faster.", zh: "对话已较长，新会话会回答得更快。" },
  notice_unrecognised_screen: { en: "The terminal shows something that qpty doesn’t know. Open the terminal to see it.", zh: "终端显示了 qpty 无法识别的内容，请打开终端查看。" },
  notice_question_timeout: { en: "Nobody answered in time: the question was refused.", zh: "无人及时回答，问题已被拒绝。" },
  notice_message_altered: { en: "The message reached the agent slightly changed.", zh: "消息到达代理时略有改动。" },

  // -- tools and questions
  tool_output: { en: "Output", zh: "输出" },
  tool_purpose: { en: "purpose", zh: "用途" },
  tool_server: { en: "server", zh: "服务器" },
  tool_trusted: { en: "permission", zh: "许可" },
  tool_trusted_yes: { en: "trusted: ran without a question", zh: "受信任：无需询问" },
  tool_trusted_no: { en: "was asked for", zh: "已询问" },
  arguments_unknown: { en: "The arguments couldn’t be read.", zh: "无法读取参数。" },
  more_output: { en: { one: "Show {count} more character", other: "Show {count} more characters" }, zh: "再显示 {count} 个字符" },
  outcome_waiting: { en: "waits for you", zh: "等待您的回答" },
  outcome_running: { en: "running", zh: "运行中" },
  outcome_ok: { en: "done", zh: "完成" },
  outcome_error: { en: "failed", zh: "出错" },
  outcome_refused: { en: "refused", zh: "已拒绝" },
  outcome_interrupted: { en: "stopped", zh: "已停止" },
  permission_asked: { en: "May {name} run?", zh: "允许运行 {name} 吗？" },
  permission_uncertain: { en: "It isn’t certain what this allows: look at the terminal before you answer.", zh: "无法确定此许可的确切内容，回答前请查看终端。" },
  permission_one_of: { en: "Several calls wait, and it isn’t certain which one is meant. Allowing may allow any of these:", zh: "有多个调用在等待，无法确定是哪一个。允许可能会允许以下任何一个：" },
  read_first: { en: "Show all of it first", zh: "请先显示全部内容" },
  answer_allow: { en: "Allow", zh: "允许" },
  answer_refuse: { en: "Refuse", zh: "拒绝" },
  answer_always: { en: "Always allow in this session", zh: "本会话中始终允许" },
  answered_allow: { en: "Allowed.", zh: "已允许。" },
  answered_refuse: { en: "Refused.", zh: "已拒绝。" },
  answered_always: { en: "Allowed for the rest of this session.", zh: "本会话中始终允许。" },
  menu_leave: { en: "Leave", zh: "离开" },
  menu_left: { en: "Left without a choice.", zh: "未选择即离开。" },
  menu_chosen: { en: "Chosen: {option}", zh: "已选择：{option}" },
  question_over: { en: "Not answered.", zh: "未回答。" },

  // -- writing
  write: { en: "Write a message", zh: "输入消息" },
  send: { en: "Send", zh: "发送" },
  stop: { en: "Stop (Esc)", zh: "停止 (Esc)" },
  attach: { en: "Attach files", zh: "添加文件" },
  attachments: { en: "Attached files", zh: "已添加的文件" },
  attached: { en: { one: "Attached file: {names}", other: "Attached files: {names}" }, zh: "附件：{names}" },
  remove_file: { en: "Remove {name}", zh: "移除 {name}" },
  too_many_files: { en: "At most {count} files go with a message.", zh: "一条消息最多附带 {count} 个文件。" },
  file_too_large: { en: "{name} is too large: at most {limit} are taken.", zh: "{name} 太大：最大 {limit}。" },
  uploading_files: { en: "Uploading the files. The message is sent after them.", zh: "正在上传文件，完成后发送消息。" },
  composer_hint: { en: "Enter sends, Shift+Enter starts a new line.", zh: "Enter 发送，Shift+Enter 换行。" },
  composer_hint_running: { en: "Enter queues the next message, Esc stops this turn.", zh: "Enter 将消息排队，Esc 停止本轮。" },
  answer_first: { en: "Answer the question first.", zh: "请先回答问题。" },

  // -- errors, by the server's codes
  error_offline: { en: "The server can’t be reached. Nothing is lost; try again when the connection is back.", zh: "无法连接服务器。内容没有丢失，请在恢复连接后重试。" },
  error_question_open: { en: "The agent waits for an answer to its question. Answer that first.", zh: "代理正在等待您回答问题，请先回答。" },
  error_question_gone: { en: "This question was answered already.", zh: "此问题已有回答。" },
  error_message_too_long: { en: "The message is too long: at most a megabyte is taken. Attach it as a file instead.", zh: "消息太长：最多 1 MB。请改为以文件附上。" },
  error_queue_full: { en: "As many messages wait as may. Wait until one was answered.", zh: "排队的消息已满，请等待其中一条得到回答。" },
  error_rate_limited: { en: "Too many requests at once. Wait a little and try again.", zh: "请求过于频繁，请稍候再试。" },
  error_no_capacity: { en: "All places are taken at the moment. Try again in a while.", zh: "目前没有空位，请稍后再试。" },
  error_agent_unavailable: { en: "The agent doesn’t start. The server’s log says why.", zh: "代理无法启动，原因见服务器日志。" },
  error_not_signed_in: { en: "The Amazon Q CLI isn’t signed in. Run “q login” on the server, then send the message again.", zh: "Amazon Q CLI 尚未登录，请在服务器上运行 q login，然后重新发送。" },
  error_sign_in_expired: { en: "The sign-in of the Amazon Q CLI has expired. Run “q login” on the server, then send the message again.", zh: "Amazon Q CLI 的登录已过期，请在服务器上运行 q login，然后重新发送。" },
  error_monthly_limit: { en: "This month’s limit of the account is used up.", zh: "账户本月的额度已用完。" },
  error_context_overflow: { en: "The conversation is too long for the model. Start a new session, or send less at once.", zh: "对话超出模型的长度上限。请开始新会话，或减少一次发送的内容。" },
  error_account_suspended: { en: "The account is suspended. Ask those who administer it.", zh: "账户已被停用，请联系管理员。" },
  error_access_denied: { en: "The account isn’t allowed to use this.", zh: "账户没有使用权限。" },
  error_upstream_error: { en: "The model’s service reported an error. Try again.", zh: "模型服务报告了错误，请重试。" },
  error_model_overloaded: { en: "The model is overloaded. Try again in a while.", zh: "模型过载，请稍后再试。" },
  error_agent_crashed: { en: "The agent ended unexpectedly. It starts again with the next message, and remembers.", zh: "代理意外结束。发送下一条消息时会重新启动，并保留对话。" },
  error_worker_lost: { en: "The server was stopped in the middle of this. The message wasn’t sent again; send it if you want to.", zh: "服务器中途停止。消息没有重发，需要时请重新发送。" },
  error_timeout: { en: "The agent said nothing for too long and was stopped.", zh: "代理长时间没有响应，已被停止。" },
  error_stopping: { en: "The server is stopping. This page comes back when it does.", zh: "服务器正在停止，恢复后页面会自动重连。" },
  error_not_forkable: { en: "From here nothing can go on: the agent’s record of it isn’t there any more.", zh: "无法从此处继续：代理已没有相应的记录。" },
  error_storage_failed: { en: "The server can’t write to its storage. Nothing that was accepted is lost; try again.", zh: "服务器无法写入存储。已接受的内容不会丢失，请重试。" },
  error_storage_busy: { en: "The server’s storage is busy. Try again.", zh: "服务器存储繁忙，请重试。" },
  error_internal_error: { en: "Something went wrong inside the server. Its log has it.", zh: "服务器内部出错，详情见日志。" },

  // -- sessions and their dialogs
  search_sessions: { en: "Search sessions", zh: "搜索会话" },
  sessions_found: { en: { one: "{count} session found", other: "{count} sessions found" }, zh: "找到 {count} 个会话" },
  no_session_found: { en: "No session’s title has this in it.", zh: "没有标题包含此内容的会话。" },
  no_sessions: { en: "No sessions yet.", zh: "还没有会话。" },
  more_sessions: { en: "There are older sessions: search for them.", zh: "还有更早的会话，请使用搜索。" },
  session_menu: { en: "What to do with “{title}”", zh: "“{title}” 的操作" },
  new_session_with_options: { en: "New session with options", zh: "新会话（自定义选项）" },
  create_session: { en: "Create", zh: "创建" },
  rename: { en: "Rename", zh: "重命名" },
  rename_session: { en: "Rename session", zh: "重命名会话" },
  session_title: { en: "Title", zh: "标题" },
  session_title_hint: { en: "Empty: no title.", zh: "留空则没有标题。" },
  export_markdown: { en: "Export as Markdown", zh: "导出为 Markdown" },
  export_json: { en: "Export as JSON", zh: "导出为 JSON" },
  delete: { en: "Delete", zh: "删除" },
  delete_session: { en: "Delete this session?", zh: "删除此会话？" },
  delete_loses: { en: "These go with it:", zh: "以下内容将一并删除：" },
  lost_messages: { en: { one: "{count} message", other: "{count} messages" }, zh: "{count} 条消息" },
  lost_files: { en: "all files of its directory", zh: "其目录中的所有文件" },
  lost_files_counted: { en: { one: "{count} file of its directory", other: "{count} files of its directory" }, zh: "其目录中的 {count} 个文件" },
  lost_files_many: { en: "more than {count} files of its directory", zh: "其目录中的 {count} 个以上的文件" },
  lost_recording: { en: "the recording of its terminal", zh: "终端的录像" },
  delete_for_good: { en: "This can’t be undone.", zh: "此操作无法撤销。" },
  session_deleted: { en: "The session was deleted.", zh: "会话已删除。" },
  agent: { en: "Agent", zh: "代理" },
  default_agent: { en: "The default one", zh: "默认代理" },
  model: { en: "Model", zh: "模型" },
  default_model: { en: "The default one", zh: "默认模型" },
  system_prompt: { en: "System prompt", zh: "系统提示词" },
  system_prompt_hint: { en: "What the agent should keep in mind throughout. An agent chosen below has its own.", zh: "代理在整个会话中应遵循的内容。下方选择的代理有自己的提示词。" },
  trust: { en: "Tools that run without a question", zh: "无需询问即可运行的工具" },
  trust_default: { en: "As this server does by default", zh: "按服务器默认设置" },
  trust_some: { en: "Only these", zh: "仅限以下工具" },
  trust_all: { en: "All: nothing asks for permission", zh: "全部：不再请求许可" },
  other_tools: { en: "Others", zh: "其他工具" },
  other_tools_hint: { en: "Names with commas between them, of an MCP server’s tools as @server/tool.", zh: "以逗号分隔的名称；MCP 服务器的工具写作 @server/tool。" },
  advanced: { en: "Advanced", zh: "高级" },
  columns: { en: "Columns of the terminal", zh: "终端列数" },
  lines: { en: "Lines of the terminal", zh: "终端行数" },
  error_files_too_large: { en: "The session’s files are too many, or too large, to be copied.", zh: "会话的文件过多或过大，无法复制。" },
  // -- files
  upload: { en: "Upload", zh: "上传" },
  drop_hint: { en: "or drop files here", zh: "或将文件拖放到此处" },
  uploads: { en: "Uploads", zh: "上传" },
  uploading: { en: "Uploading {name}", zh: "正在上传 {name}" },
  uploaded: { en: "{name} was uploaded.", zh: "{name} 已上传。" },
  no_folders: { en: "Folders can’t be uploaded: drop the files in them.", zh: "无法上传文件夹，请拖放其中的文件。" },
  replace_file: { en: "Replace this file?", zh: "替换此文件？" },
  replace_more: { en: "There is a file of this name already:", zh: "已有同名文件：" },
  replace: { en: "Replace", zh: "替换" },
  refresh: { en: "Look again", zh: "刷新" },
  files_refreshed: { en: "Files were looked up again.", zh: "文件列表已刷新。" },
  no_files: { en: "No files yet. What the agent writes, and what you upload, is here.", zh: "还没有文件。代理写入和您上传的文件会显示在此处。" },
  files_truncated: { en: "There are very many files: not all marks of changes are known.", zh: "文件过多：部分更改标记可能缺失。" },
  changed: { en: "changed", zh: "已更改" },
  not_followed: { en: "A link, a pipe or the like: it isn’t opened.", zh: "链接、管道等：不会被打开。" },
  more_files: { en: { one: "Show {count} more", other: "Show more ({count} left)" }, zh: "显示更多（剩余 {count} 个）" },
  file_menu: { en: "What to do with {name}", zh: "{name} 的操作" },
  open: { en: "Open", zh: "打开" },
  download: { en: "Download", zh: "下载" },
  preview: { en: "Preview", zh: "预览" },
  back_to_files: { en: "Back to the files", zh: "返回文件列表" },
  content_of: { en: "Content of {name}", zh: "{name} 的内容" },
  image_of: { en: "Image {name}", zh: "图片 {name}" },
  image_too_large: { en: "This image is too large to be shown.", zh: "图片过大，无法显示。" },
  image_broken: { en: "This image can’t be shown: its content is none, or broken.", zh: "无法显示此图片：内容不是图片或已损坏。" },
  file_empty: { en: "This file is empty.", zh: "此文件为空。" },
  file_binary: { en: "This is no text.", zh: "这不是文本文件。" },
  file_changed: { en: "The file was changed meanwhile: open it again.", zh: "文件已被更改，请重新打开。" },
  file_too_long: { en: "Only the first {shown} are shown. Download the file for the rest.", zh: "仅显示前 {shown}，其余内容请下载查看。" },
  more_text: { en: "Show more ({shown} of {whole})", zh: "显示更多（{shown} / {whole}）" },
  no_such_file: { en: "{name} isn’t there, or not any more.", zh: "{name} 不存在或已被删除。" },
  delete_file: { en: "Delete this file?", zh: "删除此文件？" },
  delete_directory: { en: "Delete this folder?", zh: "删除此文件夹？" },
  file_deleted: { en: "{name} was deleted.", zh: "{name} 已删除。" },
  error_name_taken: { en: "There is something of this name already.", zh: "已有同名的文件或文件夹。" },
  error_directory_not_empty: { en: "The folder isn’t empty. Delete what is in it first.", zh: "文件夹不为空，请先删除其中的内容。" },
  error_file_not_found: { en: "The file isn’t there any more.", zh: "文件已不存在。" },
  error_storage_full: { en: "The server’s disk is full.", zh: "服务器磁盘已满。" },
  // -- terminal
  live: { en: "Live", zh: "实时" },
  recording: { en: "Recording", zh: "录像" },
  screen: { en: "Screen of the terminal", zh: "终端屏幕" },
  recorded_screen: { en: "Screen of the recording", zh: "录像画面" },
  take_keyboard: { en: "Take over the keyboard", zh: "接管键盘" },
  give_keyboard_back: { en: "Give the keyboard back", zh: "交还键盘" },
  keyboard_field: { en: "Keyboard of the terminal", zh: "终端键盘" },
  keyboard_yours: { en: "You have the keyboard: whatever you type goes to the terminal, Esc and Tab too. Messages wait. Ctrl+Shift+Enter gives it back.", zh: "您已接管键盘：所有按键（包括 Esc 和 Tab）都会发送到终端，消息将排队等待。按 Ctrl+Shift+Enter 交还。" },
  keyboard_given_back: { en: "The keyboard was given back.", zh: "键盘已交还。" },
  keyboard_elsewhere: { en: "Somebody else has the keyboard.", zh: "键盘正被他人使用。" },
  keyboard_not_allowed: { en: "You may look, but not type: that takes a key that administers.", zh: "您只能查看，不能输入：需要管理员密钥。" },
  terminal_asleep: { en: "No terminal is live. A message starts it.", zh: "终端未运行。发送消息即可启动。" },
  terminal_offline: { en: "No connection: this is the last that was seen.", zh: "连接已断开：显示的是最后的画面。" },
  playback: { en: "Play-back", zh: "回放" },
  play: { en: "Play", zh: "播放" },
  pause: { en: "Pause", zh: "暂停" },
  position: { en: "Position", zh: "位置" },
  speed: { en: "Speed", zh: "速度" },
  time_of: { en: "{now} of {whole}", zh: "{now}，共 {whole}" },
  download_recording: { en: "Download the recording", zh: "下载录像" },
  notice_keyboard_taken: { en: "Somebody types at the terminal by hand. Messages wait until the keyboard is given back.", zh: "有人正在手动操作终端。消息将等待键盘交还。" },
  notice_keyboard_returned: { en: "The keyboard of the terminal was given back.", zh: "终端键盘已交还。" },
  error_keyboard_taken: { en: "Somebody else has the keyboard.", zh: "键盘正被他人使用。" },
  error_keyboard_not_taken: { en: "The keyboard isn’t yours any more. Take it over again.", zh: "您已不再占用键盘，请重新接管。" },
  error_keyboard_blocked: { en: "The terminal doesn’t take what was typed before. Wait, or stop the turn.", zh: "终端尚未接收之前的输入。请稍候，或停止本轮。" },
  error_not_allowed: { en: "That takes a key that administers.", zh: "此操作需要管理员密钥。" },
  error_not_live: { en: "The terminal isn’t live. A message starts it.", zh: "终端未运行。发送消息即可启动。" },
  error_no_recording: { en: "Nothing was recorded yet.", zh: "还没有录像。" },
};

/** A text of the table, in the person's language. */
export function text(key, values = {}) {
  const entry = TEXTS[key];
  if (!entry) throw new Error(`there is no text ${key}`);
  let found = entry[language()];
  if (typeof found !== "string") found = found[new Intl.PluralRules(language()).select(values.count)] ?? found.other;
  return found.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/** Whether there is such a text: of errors, say, whose codes come from the server. */
export const hasText = (key) => Object.hasOwn(TEXTS, key);

/** Fill in the texts that a piece of the shell names by `data-text` and `data-label`. */
export function translate(root) {
  for (const element of root.querySelectorAll("[data-text]")) element.textContent = text(element.dataset.text);
  for (const element of root.querySelectorAll("[data-label]")) {
    const label = text(element.dataset.label);
    element.setAttribute("aria-label", label);
    if (element.matches("button, a")) element.title = label;
  }
}

/** A time of the server's (RFC 3339), short: today's as hours and minutes. */
export function shortTime(time) {
  const date = new Date(time);
  const today = new Date().toDateString() === date.toDateString();
  const style = today ? { hour: "2-digit", minute: "2-digit" } : { year: "numeric", month: "short", day: "numeric" };
  return new Intl.DateTimeFormat(language(), style).format(date);
}

/** A time of the server's, in full. */
export const longTime = (time) =>
  new Intl.DateTimeFormat(language(), { dateStyle: "medium", timeStyle: "medium" }).format(new Date(time));

/** A number of bytes for people. */
export function size(bytes) {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte"];
  const step = bytes < 1 ? 0 : Math.min(3, Math.floor(Math.log10(bytes) / 3));
  if (step === 0) return text("bytes", { count: bytes }); // a browser would say "12 byte"
  const style = { style: "unit", unit: units[step], unitDisplay: "short", maximumFractionDigits: 1 };
  return new Intl.NumberFormat(language(), style).format(bytes / 1000 ** step);
}

/** A number of seconds for people. */
export function seconds(value) {
  const style = { style: "unit", unit: "second", unitDisplay: "narrow", maximumFractionDigits: value < 10 ? 1 : 0 };
  return new Intl.NumberFormat(language(), style).format(value);
}
