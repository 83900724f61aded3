using System.Globalization;
using System.Text.Json;
using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Training;

/// <summary>
/// Sees to it that the processes of a training do the same, and that none waits for one that will not come: before the first step they
/// say what they are about to train, or why they cannot; from then on one that fails ends all.
/// </summary>
/// <param name="ranks">All of them; null: this process is alone.</param>
internal sealed class RankAgreement(ITrainingRanks? ranks)
{
    private const string Fault = "Fault";

    private bool _isMet, _isTraining;

    private bool IsAlone => ranks is null || ranks.Count == 1;

    /// <summary>Returns where every rank is about to train the same.</summary>
    /// <param name="setup">What this one is about to train, by name.</param>
    /// <returns>What is to be said about the ranks all the same; null: nothing.</returns>
    /// <exception cref="InvalidOperationException">On every rank: one has failed or left, or is set up otherwise than rank 0.</exception>
    public string? Meet(IReadOnlyDictionary<string, string> setup)
    {
        if (IsAlone)
        {
            return null;
        }

        _isMet = true;
        Dictionary<string, string>?[] said = Say(setup);
        string[] faults =
        [
            .. Enumerable.Range(0, said.Length)
                .GroupBy(rank => said[rank] is null ? "" : said[rank]!.GetValueOrDefault(Fault))
                .Where(alike => alike.Key is not null)
                .Select(alike => FaultOf([.. alike], said.Length, alike.Key!)),
        ];
        if (faults.Length > 0)
        {
            throw new InvalidOperationException(string.Join(Environment.NewLine, faults.Take(NameList.Most)));
        }

        if (RankSetups.Difference(said!) is { } difference)
        {
            throw new InvalidOperationException(difference);
        }

        _isTraining = true;
        return RankSetups.Remark(said!);
    }

    /// <summary>
    /// From now on nobody waits for another: training is at its end, or every rank is about to throw the same, by what all of them know.
    /// </summary>
    public void Part() => _isTraining = false;

    /// <summary>Takes up that this rank has failed, before its error goes on to the caller.</summary>
    /// <exception cref="AggregateException">The others cannot be told: the failure itself, and why not.</exception>
    public void Fail(Exception failure)
    {
        if (IsAlone)
        {
            return;
        }

        try
        {
            Tell(failure);
        }
        catch (Exception untold)
        {
            throw new AggregateException("This rank has failed, and the others could not be told.", failure, untold);
        }
    }

    private void Tell(Exception failure)
    {
        if (!_isMet)
        {
            _isMet = true;
            _ = Say(new Dictionary<string, string>(StringComparer.Ordinal) { [Fault] = failure.Message });
        }
        else if (_isTraining)
        {
            ranks!.Abort($"{failure.GetType().Name}: {failure.Message}");
        }
    }

    private static string FaultOf(int[] ranks, int count, string why)
    {
        string have = ranks.Length == 1 ? "has" : "have";
        return string.Create(CultureInfo.InvariantCulture, $"{RankSetups.Name(ranks, "R")} of {count} {have} ")
            + (why.Length == 0 ? "left without training: the message there says why, or Fit is not called there as often as here."
                : $"failed: {why}");
    }

    private Dictionary<string, string>?[] Say(IReadOnlyDictionary<string, string> what) =>
        [.. ranks!.Gather(JsonSerializer.SerializeToUtf8Bytes(what)).Select(said =>
            said.Length == 0 ? null : JsonSerializer.Deserialize<Dictionary<string, string>>(said))];
}
