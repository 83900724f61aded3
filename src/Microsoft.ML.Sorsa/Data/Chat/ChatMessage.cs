namespace Microsoft.ML.Sorsa.Data.Chat;

/// <summary>One message of a conversation.</summary>
/// <param name="Role">Who speaks: <c>system</c>, <c>user</c>, <c>assistant</c>; what others mean is the template's affair.</param>
/// <param name="Content">The text, taken as it is: what looks like Jinja or like a special token stays.</param>
internal sealed record ChatMessage(string Role, string Content);
