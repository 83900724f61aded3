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
    private readonly List<ChatToolCall> _calls = [];
    private bool _isInCall;
    private bool _hasText;      // Since the last call.

    /// <summary>What of the answer is text for certain and was not given yet.</summary>
    public string Push(string piece)
    {
        if (format is null)
        {
            return piece;
        }

        _held.Append(piece);
        if (_isInCall && format.Closing?.Any(piece.Contains) != true)
        {
            return "";      // Nothing that could end the call.
        }

        var text = new StringBuilder();
        while (_isInCall ? EndCall(text) : BeginCall(text))
        {
            // As long as something begins or ends in what is there.
        }

        return text.ToString();
    }

    /// <summary>The answer is over: its calls, and what was held back as text where it is none that is whole.</summary>
    public (IReadOnlyList<AIContent> Contents, bool IsCall) Complete()
    {
        string rest = _held.ToString();
        if (_isInCall && format!.Read(rest) is { Count: > 0 } last)
        {
            _calls.AddRange(last);
            rest = "";
        }

        var ids = new HashSet<string>();
        AIContent[] text = rest.Length == 0 || (_calls.Count > 0 && string.IsNullOrWhiteSpace(rest)) ? [] : [new TextContent(rest)];
        return ([.. text, .. _calls.Take(several ? _calls.Count : 1).Select(call => Content(call, ids))], _calls.Count > 0);
    }

    /// <summary>Gives the text in front of the next call; false: no call begins in what is there.</summary>
    private bool BeginCall(StringBuilder text)
    {
        string held = _held.ToString();
        (int at, _isInCall) = format!.FindCall(held, isBeginning: !_hasText && _calls.Count == 0);
        string before = held[..at];
        if (_isInCall)
        {
            // The line break in front of a call is the template's, and so is all white space where there is no text.
            before = !_hasText && string.IsNullOrWhiteSpace(before) ? "" : before.EndsWith('\n') ? before[..^1] : before;
        }

        Give(text, before, taken: at);
        return _isInCall;
    }

    /// <summary>Takes the call that ends in what is there, or gives it as text where it is none; false: it does not end yet.</summary>
    private bool EndCall(StringBuilder text)
    {
        if (format!.Closing is not { } closing)
        {
            return false;
        }

        string held = _held.ToString();
        for (int at = held.IndexOf(closing, StringComparison.Ordinal); at >= 0;)
        {
            int end = at + closing.Length;
            IReadOnlyList<ChatToolCall>? calls = format.Read(held[..at]);
            if (calls is not null || !format.EndsInsideString(held[..end]))
            {
                _calls.AddRange(calls ?? []);
                _isInCall = false;
                Give(text, calls is null ? held[..end] : "", taken: end);
                _hasText = calls is null;
                return true;
            }

            at = held.IndexOf(closing, end, StringComparison.Ordinal);
        }

        return false;
    }

    private void Give(StringBuilder text, string words, int taken)
    {
        text.Append(words);
        _hasText |= words.Length > 0;
        _held.Remove(0, taken);
    }

    /// <summary>With the model's own id where the template takes it back in the next turn, and no call before has it.</summary>
    private static FunctionCallContent Content(ChatToolCall call, HashSet<string> ids) => new(
        call.Id is { Length: IdLength } id && id.All(char.IsAsciiLetterOrDigit) && ids.Add(id)
            ? id
            : new string(Random.Shared.GetItems<char>(IdLetters, IdLength)),
        call.Name,
        call.Arguments.EnumerateObject().ToDictionary(argument => argument.Name, argument => (object?)argument.Value));
}
