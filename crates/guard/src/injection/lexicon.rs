//! What words mean in an attempt, in the languages attempts are written in, so that what is learnt in one language
//! holds in the others.
//!
//! The model sees a word both as itself and as its concept; sequences of concepts are the same in every language. Words
//! are written as the fold leaves them: lower case, no accents. A trailing `*` makes a stem of it.

/// What a word stands for. The numbers go into feature hashes: add at the end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Concept {
    /// Sets something aside: ignore, forget, bypass.
    SetAside = 1,
    /// What a model was told: instructions, prompt, rules.
    Orders,
    /// Earlier in the conversation.
    Earlier,
    All,
    Your,
    /// Hidden, initial, of the system.
    Inner,
    Show,
    Not,
    Model,
    /// Unrestricted, without limits.
    Free,
    /// Pretend, act, play a part.
    Act,
    /// From now on, instead.
    Now,
    Must,
    /// Passwords, keys.
    Secret,
    /// Safety, ethics, filters: what holds a model back.
    Restraint,
    /// Obey, execute, comply.
    Obey,
    Send,
    /// What, how, why: asks for an explanation.
    Ask,
    New,
    /// Names of personas and modes.
    Persona,
    Mode,
}

use Concept::*;

/// Words of a concept; `*` ends a stem.
#[rustfmt::skip]
pub(super) const WORDS: &[(Concept, &str)] = &[
    (SetAside, "ignore ignores ignored ignoring disregard* forget forgets forgetting neglect bypass* override overrides overriding overrule* discard* skip omit circumvent* evade sidestep* \
        suspend* abandon erase violate dismiss overlook unlearn break delete remove disable* deactivate* drop cancel stop \
        ignorier* vergiss vergessen missachte* umgeh* uberschreib* verwirf vernachlassig* loesch* losche* setze deaktivier* ubergeh* \
        ignorez ignorer oublie* neglige* outrepasse* contourne* desactive* annule* transgress* enfrein* \
        ignora ignore* olvida* omite omitir descarta* desobedece* elude* evade* anula* sobrescrib* viola* desactiva* pasa \
        dimentica* trascura* scavalca* aggira* disattiva* sovrascriv* tralascia* annulla* \
        esquec* desconsider* desrespeit* contorn* burl* substitu* \
        игнор* забуд* забыть проигнор* отмен* обойд* обход* пропуст* отключ* наруш* пренебре* \
        zignoruj* ignoruj* zapomn* pomin* negeer* vergeet unut* gormezden tasalla* abaikan lupakan \
        忽略 忽视 无视 無視 忘记 忘掉 忘れ 绕过 跳过 覆盖 破る 무시* 잊어* 우회* تجاهل* انس* تخط* अनदेखा भूल* नज़रअंदाज़"),
    (Orders, "instruct* prompt prompts rule rules direction directions directive* guideline* command commands orders programming preprompt briefing \
        anweisung* befehl* regel* vorgabe* richtlinie* instruktion* aufforderung* anleitung* weisung* \
        consigne* regle regles directive* ordres commandes invite \
        instruccion* regla reglas indicacion* orden ordenes directriz directrices mandato* \
        istruzion* regol* direttiv* comand* ordini indicazion* linee \
        instruco* regra regras diretriz* diretiv* comando* ordens prompt* orientacoes \
        инструкц* правил* указан* команд* директив* промпт* распоряж* приказ* \
        instrukcj* polecen* zasad* instructies opdracht* talimat* komut* kural* instruksi perintah aturan \
        指令 指示 规则 規則 命令 提示 説明 ルー ンプ 지시* 명령* 규칙* 프롬프트* 지침* تعليمات* التعليمات* أوامر* الأوامر* قواعد* القواعد* निर्देश* आदेश* नियम*"),
    (Earlier, "previous previously prior above earlier preceding former foregoing before past existing original initial beforehand already \
        vorherig* vorig* bisherig* obig* zuvor fruher* ursprunglich* vorangehend* vorausgehend* \
        precedent* anterieur* avant dessus initiale* initiaux \
        anterior* previ* antes arriba \
        precedent* prima sopra iniziali* \
        acima \
        предыдущ* прежн* предшеств* выше ранее раньше изначальн* прошл* \
        poprzedni* wczesniejsz* powyzsz* vorige eerdere bovenstaande onceki yukaridaki sebelumnya \
        之前 以前 以上 上面 先前 前面 上記 今ま れま 이전* 앞선* 위의* 기존* السابق* سابق* أعلاه पिछल* पहले ऊपर पूर्व"),
    (All, "all any every everything anything alle alles jede* samtliche* tous toute* tout todo* toda* cualquier* tutt* tudo qualquer все всё всех любые любых wszystk* alle tum hepsi semua \
        所有 全部 一切 任何 すべ 全て 모든* 전부* جميع كل كافة सभी सब"),
    (Your, "your yours ur dein* ihre* votre vos ton tes tu tus vuestr* su sus tuo tua tue tuoi sua suas seu seus teu teus твои* твой твоя твоих свои* ваши* вашу twoj* jouw jullie senin kamu anda \
        你的 您的 你们 なた 君の 당신* 너의 네 الخاصة आपके अपने आपका अपनी तुम्हारे"),
    (Inner, "system system's hidden internal secret initial confidential underlying core verbatim developer base exact starting preset backend setup preliminary \
        systemprompt* versteckt* geheim* intern* verborgen* systeme cache* interne* secrete* \
        sistema ocult* secret* intern* confidencial* nascost* segret* intern* sistema escondid* \
        системн* скрыт* секретн* внутренн* систем* систему tajn* ukryt* wewnetrzn* systemow* gizli sistem rahasia verborgen geheime \
        系统 系統 内部 隐藏 秘密 機密 初始 シス 隠さ 最初 시스템* 숨겨진* 비밀* 내부* 초기* النظام المخفية السرية الداخلية सिस्टम गुप्त छिपे* आंतरिक"),
    (Show, "reveal* show shows print prints output repeat display tell leak dump expose share disclose* recite reproduce echo divulge unveil transparency spell quote \
        zeig* verrat* offenleg* enthull* wiederhol* gib nenn* teile drucke* \
        montre* revele* affiche* divulgu* partage* repete* repetez devoile* dis dites imprime* \
        muestr* revel* mostrar dime comparte imprime* repite* expon* divulga* desvela* \
        mostra* rivel* dimmi ripeti* condivid* stampa* svela* elenca \
        mostre* diga compartilh* repita* exib* divulgue* \
        покаж* раскро* раскры* вывед* повтор* скажи расскаж* сообщи* напечат* pokaz* ujawni* powtorz* wyswietl* toon onthul* herhaal goster* acikla* tekrarla* tampilkan ungkap* \
        显示 透露 告诉 输出 重复 公开 泄露 打印 展示 教え 表示 出力 明か 見せ 繰り 보여* 공개* 출력* 알려* 반복* اكشف* أظهر* اعرض* اطبع* كرر* दिखा* बता* प्रकट* दोहरा*"),
    (Not, "not never don't dont cannot can't won't no without nicht kein* nie niemals ohne pas jamais sans ne nunca sin jamas non mai senza nao nunca sem не нет никогда без nie bez niet geen zonder degil olmadan jangan tanpa tidak \
        不要 不会 没有 不能 不得 无需 ない なし 않* 없* لا بدون दون بلا नहीं बिना मत"),
    (Model, "ai model assistant chatbot bot gpt* chatgpt llm openai anthropic claude gemini llama bard agent ki assistent* modell* ia modele modelo* asistente* assistente* modello ии модел* ассистент* бот sztuczn* yapay zeka \
        人工 助手 模型 机器 アシ モデ 인공* 모델* 챗봇* الذكاء نموذج المساعد मॉडल सहायक एआई"),
    (Free, "unrestricted unfiltered uncensored unlimited unbound unconstrained unmoderated freely amoral unethical limitless jailbr* unchained liberated \
        uneingeschrankt* unbegrenzt* ungefiltert* unzensiert* einschrankung* beschrankung* grenzen schranken \
        restriction* limite* contrainte* censure* illimite* \
        restriccion* limites censura ilimitad* limitacion* limitazion* restrizion* vincoli censura illimitat* restric* limitac* irrestrit* \
        ограничен* цензур* лимит* ogranicz* cenzur* beperking* kisitlama* sinirsiz* batasan \
        限制 约束 審査 审查 制限 制約 検閲 제한* 검열* 제약* قيود القيود حدود रोक* प्रतिबंध* सीमा*"),
    (Free, "restrictions restriction limits limit limitations constraints censorship boundaries confines"),
    (Act, "pretend* act acting roleplay* role-play imagine simulat* persona impersonat* become behave speak emulate assume character playing \
        tu simulier* spiel* verhalte agier* benimm stell \
        agis agissez pretend* simule* comporte* joue* imagine* fais \
        actua* finge* simula* comportate* imagina* haz \
        agisci fingi* simula* comportati* immagina* recita* interpreta* aja finja* simule* comporte* imagine* atue \
        притвор* представ* действуй* веди сыграй* симулир* udawaj* zachowuj* wyobraz* doe alsof davran* gibi berpura* bertindak \
        扮演 假装 充当 模拟 想象 假设 演じ 振る ふり 想像 연기* 행동* 역할* 가장* تصرف* تظاهر* تخيل* مثل अभिनय नाटक कल्पना"),
    (Now, "now henceforth instead onwards hereafter immediately jetzt ab stattdessen sofort nun fortan desormais maintenant plutot ahora partir adelante adesso ora d'ora invece poi agora partir теперь сейчас отныне вместо teraz odtad nu voortaan artik simdi sekarang \
        现在 从现 接下 立即 今から これ 지금* 이제* الآن अब आगे"),
    (Must, "must always only shall required mandatory strictly exclusively solely priority urgent* critical important musst muss immer nur ausschliesslich unbedingt dois doit devez toujours uniquement seulement exclusivement debes siempre solo solamente unicamente deve devi sempre solo soltanto unicamente deve sempre apenas somente должен всегда только обязан* musisz zawsze tylko moet altijd alleen harus selalu hanya \
        必须 必須 总是 只能 必ず 常に 반드시* 항상* 오직* يجب دائما فقط हमेशा केवल सिर्फ"),
    (Secret, "password* passcode* credential* api_key apikey secrets token tokens key keys kennwort passwort* schlussel motsdepasse cle contrasena* clave* chave* senha* chiave chiavi парол* ключ* haslo klucz wachtwoord sifre \
        密码 密钥 口令 パス 暗証 비밀번호* مرور पासवर्ड access login database confidential customer customers"),
    (Restraint, "safety safeguard* ethic* moral* policy policies filter filters censor* guardrail* protocol protocols content alignment compliance limitation* constraint* sicherheit* ethisch* moralisch* filter* ethique* morale* securite filtre* etic* moral* seguridad filtro* politica* sicurezza moralit* seguranca безопасн* этич* этик* морал* фильтр* polityk* bezpieczen* etyczn* veiligheid guvenlik etik keamanan etika \
        安全 道德 伦理 政策 过滤 倫理 道徳 안전* 윤리* 필터* الأمان أخلاقي* السلامة सुरक्षा नैतिक*"),
    (Obey, "obey* execute* comply complying follow follows following run respond answer reply perform grant befolge* gehorch* fuhre antworte* folge obeis* execute* reponds repondez suis suivez cumple* ejecuta* obedece* responde* sigue esegui* obbedisci* rispondi* segui execute* obedec* responda* siga cumpra* выполн* подчин* отвеч* ответ* следуй* исполн* wykonaj* odpowiad* uitvoer* antwoord* uygula* cevap* ikuti jawab patuhi \
        执行 遵守 遵循 回答 服从 实行 従っ 実行 答え 따라* 실행* 대답* 답변* 복종* اتبع* نفذ* أجب* أطع* जवाब पालन उत्तर"),
    (Send, "send sends email forward post upload transfer exfiltrat* append insert include schick* send* envoie* envoyez transmet* envia* mande manda* invia* inoltra* envie* отправ* перешл* wyslij* stuur gonder* kirim* 发送 转发 送信 送っ 보내* أرسل* भेज*"),
    (Ask, "what how why when where who which explain describe difference does can could should is are was wie warum was welche* comment pourquoi quel* que como cual* porque come perche quale qual как почему что зачем jak dlaczego hoe waarom nasil neden bagaimana 什么 如何 怎么 为什 何を どう なぜ 어떻게* 왜 무엇* كيف ماذا لماذا क्या कैसे क्यों"),
    (New, "new updated revised neue* nouve* nuev* nuov* novo* nova* нов* nowe nieuwe yeni baru 新的 新しい 새로운* جديد* नए नया"),
    (Persona, "dan dude stan aim evil omega chaos freegpt basi mongo hypothetical fictional opposite niccolo unethical hacker admin administrator root sudo debug superuser master god"),
    (Mode, "mode modus modo modalita режим* tryb 模式 モー 모드* وضع मोड"),
];

/// Looks words up by their first three bytes.
pub(crate) struct Lexicon {
    /// Where each bucket begins in `entries`; one more at the end.
    buckets: Vec<u16>,
    entries: Vec<(&'static [u8], bool, Concept)>,
}

const BUCKETS: usize = 1024;

fn bucket(word: &[u8]) -> usize {
    let three = u32::from_le_bytes([
        word[0],
        word.get(1).copied().unwrap_or(0),
        word.get(2).copied().unwrap_or(0),
        0,
    ]);
    (three.wrapping_mul(0x9E37_79B1) >> 22) as usize
}

impl Lexicon {
    pub(crate) fn new() -> Lexicon {
        let mut entries: Vec<(usize, &'static [u8], bool, Concept)> = Vec::new();
        for (concept, words) in WORDS {
            for word in words.split_ascii_whitespace() {
                let (text, is_stem) = word.strip_suffix('*').map_or((word, false), |stem| (stem, true));
                entries.push((bucket(text.as_bytes()), text.as_bytes(), is_stem, *concept));
            }
        }
        // The first entry that fits is taken: whole words before stems, longer stems before shorter.
        entries.sort_by_key(|(bucket, text, is_stem, _)| (*bucket, *is_stem, usize::MAX - text.len(), *text));
        let mut buckets = vec![0u16; BUCKETS + 1];
        for (bucket, ..) in &entries {
            buckets[bucket + 1] += 1;
        }
        for i in 0..BUCKETS {
            buckets[i + 1] += buckets[i];
        }
        let entries =
            entries.into_iter().map(|(_, text, is_stem, concept)| (text, is_stem, concept)).collect();
        Lexicon { buckets, entries }
    }

    /// The concept of a folded word. Words of a script without spaces are asked for by their first two characters.
    pub(crate) fn concept(&self, word: &[u8]) -> Option<Concept> {
        if word.is_empty() {
            return None;
        }
        let at = bucket(word);
        let entries = self.entries.get(usize::from(self.buckets[at])..usize::from(self.buckets[at + 1]))?;
        entries
            .iter()
            .find(|(text, is_stem, _)| if *is_stem { word.starts_with(text) } else { word == *text })
            .map(|(_, _, concept)| *concept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_concept_in_many_languages() {
        let lexicon = Lexicon::new();
        let check = |words: &str, expected: Concept| {
            for word in words.split(' ') {
                assert_eq!(lexicon.concept(word.as_bytes()), Some(expected), "{word}");
            }
        };
        check("ignore ignoriere ignorez ignora olvida dimentica esqueca игнорируй 忽略 無視", SetAside);
        check(
            "instructions anweisungen consignes instrucciones istruzioni instrucoes инструкции 指令 지시를",
            Orders,
        );
        assert_eq!(lexicon.concept(b"bicycle"), None);
    }
}
