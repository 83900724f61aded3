using System.IO.Hashing;
using System.Runtime.InteropServices;

namespace Microsoft.ML.Sorsa.Data;

/// <summary>Counts rows while they are encoded; texts are compared by their hashes, so that none is kept.</summary>
internal sealed class RowStatistics
{
    private readonly List<int> _prompts = [], _responses = [], _texts = [];
    private readonly HashSet<UInt128> _rows = [], _rowPrompts = [];
    private int _given, _emptyPrompts, _emptyResponses, _duplicates, _repeatedPrompts;
    private int _cutPrompts, _cutResponses, _cutTexts;
    private long _lostOfPrompts, _lostOfResponses, _tokens, _learnt;

    /// <summary>The rows that are worked with, each by its hash.</summary>
    public IReadOnlySet<UInt128> Rows => _rows;

    /// <summary>A row of the data.</summary>
    /// <returns>Whether it has a prompt and a response.</returns>
    public bool Add(string prompt, string response)
    {
        _given++;
        bool hasPrompt = !string.IsNullOrWhiteSpace(prompt), hasResponse = !string.IsNullOrWhiteSpace(response);
        _emptyPrompts += hasPrompt ? 0 : 1;
        _emptyResponses += hasResponse ? 0 : 1;
        return hasPrompt && hasResponse;
    }

    /// <summary>A row that is worked with.</summary>
    /// <param name="prompt">Its prompt.</param>
    /// <param name="response">Its response.</param>
    /// <param name="promptLength">Tokens of its prompt, uncut; 0 where prompt and response are one text.</param>
    /// <param name="responseLength">Those of its response, or of the text.</param>
    /// <param name="example">What is left of it.</param>
    public void Add(string prompt, string response, int promptLength, int responseLength, SupervisedExample example)
    {
        UInt128 ofPrompt = Hash(prompt);
        bool isNewPrompt = _rowPrompts.Add(ofPrompt);
        if (!_rows.Add(Hash(prompt, response)))
        {
            _duplicates++;
        }
        else if (!isNewPrompt)
        {
            _repeatedPrompts++;
        }

        int lostOfPrompt = promptLength - example.PromptLength;
        int lostOfResponse = responseLength - (example.Ids.Length - example.PromptLength);
        _prompts.Add(promptLength);
        _responses.Add(responseLength);
        _texts.Add(promptLength + responseLength);
        _cutPrompts += lostOfPrompt > 0 ? 1 : 0;
        _cutResponses += lostOfResponse > 0 ? 1 : 0;
        _cutTexts += lostOfPrompt + lostOfResponse > 0 ? 1 : 0;
        _lostOfPrompts += lostOfPrompt;
        _lostOfResponses += lostOfResponse;
        _tokens += example.Ids.Length;
        _learnt += example.LabelCount;
    }

    /// <summary>All of them, once there is one that is worked with.</summary>
    /// <param name="isOneText">Whether prompt and response are one text.</param>
    /// <param name="promptLimit">Tokens that a prompt may have; null: any number.</param>
    /// <param name="responseLimit">Those that a response may have, or the text.</param>
    public DataStatistics ToStatistics(bool isOneText, int? promptLimit, int responseLimit) => new()
    {
        RowsGiven = _given,
        Rows = _texts.Count,
        EmptyPrompts = _emptyPrompts,
        EmptyResponses = _emptyResponses,
        Duplicates = _duplicates,
        RepeatedPrompts = _repeatedPrompts,
        Tokens = _tokens,
        LearntTokens = _learnt,
        Prompts = isOneText ? null : TokenLengths.Of(_prompts, promptLimit, _cutPrompts, _lostOfPrompts),
        Responses = isOneText ? null : TokenLengths.Of(_responses, responseLimit, _cutResponses, _lostOfResponses),
        Texts = TokenLengths.Of(_texts, isOneText ? responseLimit : null, _cutTexts, _lostOfPrompts + _lostOfResponses),
    };

    private static UInt128 Hash(params ReadOnlySpan<string> texts)
    {
        var hash = new XxHash128();
        foreach (string text in texts)
        {
            int length = text.Length;
            hash.Append(MemoryMarshal.AsBytes(new ReadOnlySpan<int>(in length)));
            hash.Append(MemoryMarshal.AsBytes(text.AsSpan()));
        }

        return hash.GetCurrentHashAsUInt128();
    }
}
