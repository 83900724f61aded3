using System.Text;
using Microsoft.Extensions.AI;
using Microsoft.ML.Sorsa.Data.Chat;

namespace Microsoft.ML.Sorsa.Chat;

/// <summary>
/// Tells text from calls of tools while an answer arrives, and gives both in their order. What may become a call is held back; text goes
/// through as it comes, and so does what the model thinks.
/// </summary>
/// <param name="format">How calls are written; null: everything is text.</param>
/// <param name="several">Whether one answer may call several tools; false: only the first call counts.</param>
/// <param name="ids">What calls are known by.</param>
internal sealed class AnswerReader(ToolFormat? format, bool several, CallIds ids)
{
    private readonly StringBuilder _held = new();
    private readonly StringBuilder _text = new();
    private readonly List<AIContent> _contents = [];
    private Part _part = format?.Thought switch
    {
        null => Part.Text,
        { IsOpen: true } => Part.Thought,
        _ => Part.Start,
    };

    private CallPlace _call;
    private bool _hasText;      // Since the last call.

    private enum Part
    {
        /// <summary>A thought or none: nothing but white space was there yet.</summary>
        Start,
        Thought,
        Text,
        Call,
    }

    /// <summary>Whether there was a call.</summary>
    public bool HasCall { get; private set; }

    /// <summary>What of the answer is text or a call for certain and was not given yet.</summary>
    public IReadOnlyList<AIContent> Push(string piece)
    {
        _held.Append(piece);
        return _part == Part.Call && format!.Closing?.Any(piece.Contains) != true
            ? []        // Nothing that could end the call.
            : Read(isOver: false);
    }

    /// <summary>The answer is over: what was held back, as a call where it is one.</summary>
    public IReadOnlyList<AIContent> Complete() => Read(isOver: true);

    private AIContent[] Read(bool isOver)
    {
        while (_held.Length > 0 && Step(isOver))
        {
            // As long as something begins or ends in what is there.
        }

        GiveText();
        AIContent[] contents = [.. _contents];
        _contents.Clear();
        return contents;
    }

    /// <summary>False: there must be more of the answer first.</summary>
    private bool Step(bool isOver) => _part switch
    {
        Part.Start => BeginThought(isOver),
        Part.Thought => EndThought(isOver),
        Part.Call => EndCall(isOver),
        _ => BeginCall(isOver),
    };

    private bool BeginThought(bool isOver)
    {
        ReadOnlySpan<char> start = _held.ToString().AsSpan().TrimStart();
        string opening = format!.Thought!.Opening;
        if (!isOver && start.Length < opening.Length && opening.AsSpan().StartsWith(start, StringComparison.Ordinal))
        {
            return false;
        }

        _part = start.StartsWith(opening, StringComparison.Ordinal) ? Part.Thought : Part.Text;
        return true;
    }

    private bool EndThought(bool isOver)
    {
        string held = _held.ToString(), closing = format!.Thought!.Closing;
        int at = held.IndexOf(closing, StringComparison.Ordinal);
        _part = at >= 0 ? Part.Text : Part.Thought;
        Give(at >= 0 ? at + closing.Length : isOver ? held.Length : ToolFormat.MarkAtEnd(held, closing));
        return at >= 0;
    }

    /// <summary>Gives the text in front of the next call.</summary>
    private bool BeginCall(bool isOver)
    {
        string held = _held.ToString();
        if (format is null)
        {
            Give(held.Length);
            return false;
        }

        CallPlace place = format.FindCall(held, isBeginning: !_hasText && !HasCall);
        if (place.IsCertain)
        {
            Give(place.At);
            _part = Part.Call;
            _call = new CallPlace(0, place.MarkAt - place.At, place.JsonAt - place.At, IsCertain: true);
            return true;
        }

        bool isBlankBehindCall = HasCall && !_hasText && string.IsNullOrWhiteSpace(held);
        Give(!isOver ? place.At : isBlankBehindCall ? 0 : held.Length);
        return false;
    }

    /// <summary>Takes the call that ends in what is there; where it is none, its mark is text and one may begin behind it.</summary>
    private bool EndCall(bool isOver)
    {
        string held = _held.ToString();
        for (int at = FindClosing(held, _call.JsonAt); at >= 0; at = FindClosing(held, at + 1))
        {
            int end = at + format!.Closing!.Length;
            if (format.Read(held[_call.MarkAt..at]) is { Count: > 0 } calls)
            {
                Take(calls, held[.._call.MarkAt], end);
                return true;
            }

            if (!ToolFormat.EndsInsideString(held[_call.JsonAt..end]))
            {
                return Reject();
            }
        }

        if (isOver && format!.Read(held[_call.MarkAt..]) is { Count: > 0 } last)
        {
            Take(last, held[.._call.MarkAt], held.Length);
            return true;
        }

        return isOver && Reject();

        bool Reject()
        {
            // One character, so that the same mark is not found again.
            Give(_call.MarkAt + 1);
            _part = Part.Text;
            return true;
        }
    }

    private int FindClosing(string held, int from) =>
        format!.Closing is { } closing ? held.IndexOf(closing, from, StringComparison.Ordinal) : -1;

    /// <param name="calls">What stands between the marks.</param>
    /// <param name="blank">The white space in front of them.</param>
    /// <param name="end">Where they end in what is held.</param>
    private void Take(IReadOnlyList<ChatToolCall> calls, string blank, int end)
    {
        // The line break in front of a call is the template's, and so is all white space where there is no text.
        _text.Append(!_hasText ? "" : blank.EndsWith('\n') ? blank[..^1] : blank);
        GiveText();
        foreach (ChatToolCall call in several ? calls : calls.Take(HasCall ? 0 : 1))
        {
            _contents.Add(new FunctionCallContent(
                ids.Next(call), call.Name,
                call.Arguments.EnumerateObject().ToDictionary(argument => argument.Name, argument => (object?)argument.Value)));
        }

        _held.Remove(0, end);
        (HasCall, _hasText) = (true, false);
        _part = Part.Text;
    }

    private void Give(int length)
    {
        _text.Append(_held.ToString(0, length));
        _hasText |= length > 0;
        _held.Remove(0, length);
    }

    private void GiveText()
    {
        if (_text.Length > 0)
        {
            _contents.Add(new TextContent(_text.ToString()));
            _text.Clear();
        }
    }
}
