using System.Diagnostics;
using System.Globalization;
using Microsoft.Extensions.AI;
using Microsoft.ML.Sorsa.Chat;
using Microsoft.ML.Sorsa.Generation;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Benchmarks;

/// <summary>
/// Callers of one chat client all at once against one after the other, in tokens per second: <c>chat [model folder] [callers] [new tokens]
/// [rounds]</c>. The rounds are interleaved; no round's prompts are another's, so that nothing of them is kept. A second turn, of which
/// only the new message is read, is measured beside the first.
/// </summary>
internal static class ChatSpeed
{
    public static void Run(string[] args)
    {
        var arguments = new Arguments(args, ["model", "callers", "new tokens", "rounds"]);
        string folder = arguments.Text("model") ?? Folders.SmolLM2;
        int callers = arguments.Number("callers", 8), newTokens = arguments.Number("new tokens", 64);
        int rounds = arguments.Number("rounds", 5);
        var ml = new MLContext(seed: 1);
        using SorsaTransformer model = ml.Sorsa().LoadModel(folder, generation: new GenerationOptions { MaxNewTokens = newTokens });
        using IChatClient client = model.AsChatClient(new SorsaChatOptions { BatchSize = callers });
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{Path.GetFileName(folder)}, float32, {get_num_threads()} threads, {callers} callers, {newTokens} new tokens at most, "
            + $"{rounds} rounds after one to warm up"));
        var alone = new List<double>();
        var together = new List<double>();
        var turns = new List<(double First, double Second)>();
        for (int round = 0; round <= rounds; round++)
        {
            double one = Measure(client, callers, round * 2, sideBySide: false);
            double all = Measure(client, callers, (round * 2) + 1, sideBySide: true);
            (double First, double Second) firstTokens = FirstTokens(client, round);
            if (round > 0)
            {
                alone.Add(one);
                together.Add(all);
                turns.Add(firstTokens);
            }
        }

        double[] ratios = [.. together.Zip(alone, (all, one) => all / one)];
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"one after the other {Statistics.Median(alone):F1} tokens/s, together {Statistics.Median(together):F1} tokens/s, ratio "
            + $"{Statistics.Median(ratios):F2} (from {ratios.Min():F2} to {ratios.Max():F2})"));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"until the first word: first turn {Statistics.Median(turns.Select(turn => turn.First)):F0} ms, second turn "
            + $"{Statistics.Median(turns.Select(turn => turn.Second)):F0} ms"));
    }

    private static double Measure(IChatClient client, int callers, int round, bool sideBySide)
    {
        Stopwatch watch = Stopwatch.StartNew();
        IEnumerable<Task<ChatResponse>> answers = Enumerable.Range(0, callers)
            .Select(caller => client.GetResponseAsync(Question(round, caller)));
        long tokens = 0;
        foreach (Task<ChatResponse> answer in sideBySide ? answers.ToArray() : answers)
        {
            tokens += answer.GetAwaiter().GetResult().Usage!.OutputTokenCount!.Value;
        }

        return tokens / watch.Elapsed.TotalSeconds;
    }

    private static (double First, double Second) FirstTokens(IChatClient client, int round)
    {
        List<ChatMessage> messages =
            [new(ChatRole.User, string.Concat(Enumerable.Range(0, 12).Select(part => Question(1000 + round, part) + " ")))];
        (double first, string answer) = FirstToken(client, messages);
        messages.Add(new ChatMessage(ChatRole.Assistant, answer));
        messages.Add(new ChatMessage(ChatRole.User, "Why?"));
        return (first, FirstToken(client, messages).Milliseconds);
    }

    private static (double Milliseconds, string Answer) FirstToken(IChatClient client, List<ChatMessage> messages)
    {
        return Read().GetAwaiter().GetResult();

        async Task<(double, string)> Read()
        {
            Stopwatch watch = Stopwatch.StartNew();
            double first = 0;
            string answer = "";
            await foreach (ChatResponseUpdate update in client.GetStreamingResponseAsync(messages, new() { MaxOutputTokens = 8 }))
            {
                first = first == 0 ? watch.Elapsed.TotalMilliseconds : first;
                answer += update.Text;
            }

            return (first, answer);
        }
    }

    private static string Question(int round, int caller) => string.Create(CultureInfo.InvariantCulture,
        $"{(caller * 37) + (round * 101)} people have {round + 3} apples each and buy {caller + 4} more. How many apples do they have?");
}
