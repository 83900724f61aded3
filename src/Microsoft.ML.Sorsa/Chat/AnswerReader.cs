using System.Text;
using Microsoft.Extensions.AI;
using Microsoft.ML.Sorsa.Data.Chat;

namespace Microsoft.ML.Sorsa.Chat;

/// <summary>
/// Tells text from calls of tools while an answer arrives. What may become a call is held back; text goes through as it comes.
/// </summary>
/// <param name="format">How calls are written; null: everything is text.</param>
/// <param name="several">Whether one answer may call several tools; false: only the first call counts.</param>
internal sealed class AnswerReader(ToolFormat? format, bool several)
{
    private const string IdLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    private const int IdLength = 9;     // Mistral's template takes no other.

    private readonly StringBuilder _held = new();
    private bool? _isCall = format is null ? false : null;

    /// <summary>What of the answer is text for certain and was not given yet.</summary>
    public string Push(string piece)
    {
        if (_isCall == false)
        {
            return piece;
        }

        _held.Append(piece);
        _isCall ??= format!.IsCall(_held.ToString());
        return _isCall == false ? Take() : "";
    }

    /// <summary>The answer is over: its calls, or what was held back as text where it holds none that is whole.</summary>
    public (IReadOnlyList<AIContent> Contents, bool IsCall) Complete()
    {
        string rest = Take();
        if (_isCall == true && format!.Read(rest) is { Count: > 0 } calls)
        {
            var ids = new HashSet<string>();
            return ([.. calls.Take(several ? calls.Count : 1).Select(call => Content(call, ids))], true);
        }

        return (rest.Length > 0 ? [new TextContent(rest)] : [], false);
    }

    /// <summary>With the model's own id where the template takes it back in the next turn, and no call before has it.</summary>
    private static FunctionCallContent Content(ChatToolCall call, HashSet<string> ids) => new(
        call.Id is { Length: IdLength } id && id.All(char.IsAsciiLetterOrDigit) && ids.Add(id)
            ? id
            : new string(Random.Shared.GetItems<char>(IdLetters, IdLength)),
        call.Name,
        call.Arguments.EnumerateObject().ToDictionary(argument => argument.Name, argument => (object?)argument.Value));

    private string Take()
    {
        string text = _held.ToString();
        _held.Clear();
        return text;
    }
}
